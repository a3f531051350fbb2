"""Measurements, one module each, run by hand: `make bench`. Results are kept in RESULTS.md."""
