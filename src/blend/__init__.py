"""Step 7: blend the rankers, score the blend, keep experiments."""
