"""Measure the steps and compare them with other ways to the same results: `make bench`."""
