"""Step 2 on Spark."""
