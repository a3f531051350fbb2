"""What every step uses and no step is: files, memory, engines, arrays. No recommender word."""
