"""Recipes, and the data that all steps read: splits, sessions, shards, folds."""
