"""Semantic ids of items, and a net that generates them."""
