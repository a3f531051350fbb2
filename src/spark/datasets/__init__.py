"""Step 1 on Spark."""
