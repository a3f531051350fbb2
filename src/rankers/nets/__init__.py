"""Nets of rankers, as modules of torch: no data, no training."""
