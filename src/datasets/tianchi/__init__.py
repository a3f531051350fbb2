"""Tianchi news: the article that ends a visit."""
