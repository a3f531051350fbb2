"""Step 5: pre-rankers, small models that cut the pool before features and rankers."""
