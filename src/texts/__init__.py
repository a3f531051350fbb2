"""Texts to vectors: encoders, their cache, whitening."""
