"""The rows of a recipe, a module per kind: plain values, documented field by field."""
