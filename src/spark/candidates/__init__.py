"""Step 3 on Spark."""
