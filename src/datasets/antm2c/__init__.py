"""AntM2C: single impressions with clicks, scenes, texts and anonymous features."""
