"""Compute the columns of candidates that a row itself gives: its features, and its texts."""

from __future__ import annotations

import polars as pl

from src.datasets.antm2c.columns import CATEGORIES, DEEP, ENTITIES, NUMBERS, OF_USER, TITLE
from src.datasets.antm2c.ids import Ids

COUNTED = (*OF_USER, ENTITIES)
COLUMNS = (
    *DEEP,
    *(f"{name}_words" for name in COUNTED),
    *(f"{name}_common" for name in OF_USER),
    "has_title",
)
"""Categories are codes from 1, 0 where a row has none; numbers are as in the file.

<text>_words: different words. <text of the user>_common: those that the item has too.
"""


def given_columns(rows: pl.DataFrame, ids: Ids) -> pl.DataFrame:
    """Compute COLUMNS: float32 (rows)."""
    words = rows.select(
        pl.col(name).fill_null("").str.split(",").list.set_difference([""]) for name in COUNTED
    )
    of_words = words.select(
        *(pl.col(name).list.len().alias(f"{name}_words") for name in COUNTED),
        *(
            pl.col(name).list.set_intersection(ENTITIES).list.len().alias(f"{name}_common")
            for name in OF_USER
        ),
    )
    codes = rows.select(
        *(ids.code(name).alias(name) for name in CATEGORIES), *NUMBERS,
        has_title=pl.col(TITLE).is_not_null(),
    )  # fmt: skip
    return codes.hstack(of_words).select(pl.col(COLUMNS).cast(pl.Float32))
