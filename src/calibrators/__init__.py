"""Step 7: calibrators, which turn the scores of a blend into probabilities."""
