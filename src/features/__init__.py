"""Step 5: feature columns of the candidates."""
