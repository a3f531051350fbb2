"""Logs of interactions on Spark."""
