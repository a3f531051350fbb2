"""What rows of several kinds are written in."""

HOUR = 3600
DAY = 24 * HOUR

Weights = tuple[float, ...]
"""One number per event type, in the order of `Recipe.types`; 0 leaves the type out."""
