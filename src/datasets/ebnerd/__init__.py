"""EB-NeRD: lists of news articles shown to readers, with clicks."""
