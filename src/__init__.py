"""The shared module of the seven numbered scripts; README.md prints the map."""
