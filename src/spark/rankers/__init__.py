"""Step 6 on Spark."""
