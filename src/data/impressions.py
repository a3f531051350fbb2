"""Impressions, lists shown at a moment: their context, and logs of all rows shown and pages read.

Each impression is a query of a split with given candidates. The logs hold the rows of all splits
and of what lies before them, so a feature must say which rows it may see: src/features/as_of.py.
"""

from __future__ import annotations

import polars as pl
from numpy.typing import NDArray

from src.core.arrays import arrays
from src.data import paths
from src.data.split_data import SplitData

SHOWN = pl.Schema(
    {"ts": pl.Int32, "item": pl.Int32, "user": pl.Int32, "scene": pl.Int32, "visit": pl.Int32,
     "page": pl.Int32, "length": pl.Int32, "click": pl.Int8}
)  # fmt: skip
"""One shown item a row: "shown". An item that stands twice in a list has one row.

ts is in seconds since 1970. user, scene and visit are numbers from 0; page is the item on whose
page the list stood, -1 on the front page; length is that of the list; click is null where it is
hidden.
"""

VISITS = pl.Schema({"ts": pl.Int32, "item": pl.Int32, "user": pl.Int32})
"""One opened page of an item a row: "visits"."""

READS = pl.Schema(
    {"ts": pl.Int32, "item": pl.Int32, "user": pl.Int32, "read": pl.Int8, "scroll": pl.Int8}
)
"""One page that a reader opened and left a row: "reads". ts is the time when it was opened.

read: 1 where it was open for long, else 0. scroll: 1 where its end was seen. Null where unknown.
"""

IMPRESSIONS = pl.Schema(
    {"ts": pl.Int32, "user": pl.Int32, "scene": pl.Int32, "visit": pl.Int32, "page": pl.Int32,
     "clicks_until": pl.Int32}
)  # fmt: skip
"""One query a row, in dense order; context columns follow, as Float32, null where unknown.

Clicks are known of rows before clicks_until. It is the start of the split, or of the day in splits
that are only learned from: so features of all splits have one meaning.
"""


def impressions(data: SplitData) -> pl.DataFrame:
    """Read the IMPRESSIONS of all queries of a split."""
    return data.cached(
        ("impressions",), lambda: pl.read_parquet(paths.impressions(data.run, data.split))
    )


def read_log(data: SplitData, log: str, *columns: str) -> list[NDArray]:
    """Read columns of a log."""
    return arrays(pl.read_parquet(paths.log(data.run, log), columns=list(columns)), *columns)
