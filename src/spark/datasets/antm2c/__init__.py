"""Raw files of single impressions on Spark."""
