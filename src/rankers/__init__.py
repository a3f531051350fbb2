"""Step 6: rankers order the candidates."""
