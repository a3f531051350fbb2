"""Metrics of ranked lists per query, and bootstrap intervals."""
