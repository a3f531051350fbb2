"""Step 7: tables of the probabilities of `valid`, by predictor, scene and coldness."""
