"""Coldness: how much is known of a user or an item before the moment."""

FEW = 5
"""With so many earlier rows, a user or an item is warm: the one constant of all tables."""

LEVELS = ("zero", f"1-{FEW - 1}", f"{FEW}+")
"""Names of the levels, by the number of earlier rows."""
