"""A simulated shop in OTTO's format."""
