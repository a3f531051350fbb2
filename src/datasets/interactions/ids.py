"""Number ids: whole numbers in their order, other texts in the order of their letters."""

from __future__ import annotations

import polars as pl

WHOLE = r"^(0|[1-9][0-9]{0,17})$"
"""Texts that a whole number is written as: 007 is a text of its own."""


def sorted_ids(texts: pl.Series) -> pl.DataFrame:
    """Sort distinct ids: column id, Int64 where all are whole numbers, else String."""
    if texts.str.contains(WHOLE).all():
        texts = texts.cast(pl.Int64)
    return pl.DataFrame({"id": texts.sort()})


def numbers_of(ids: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return a table to join with: column `name`, the id as text; column `name`_number, Int32."""
    number = pl.int_range(pl.len(), dtype=pl.Int32).alias(f"{name}_number")
    return ids.select(pl.col("id").cast(pl.String).alias(name), number)
