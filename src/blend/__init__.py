"""Step 7: blend the rankers, score the blend, compare it with baselines and with former runs."""
