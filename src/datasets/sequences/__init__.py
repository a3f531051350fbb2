"""Sequences of items in the files of P5 and TIGER."""
