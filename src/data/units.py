"""Units of time, and the type of weights, in recipe rows."""

HOUR = 3600
DAY = 24 * HOUR

Weights = tuple[float, ...]
"""One number per event type, in the order of `Recipe.types`; 0 excludes the type."""
