"""Mirrors src/features."""
