"""Losses of nets over lists of candidates with grades; a kind per file."""
