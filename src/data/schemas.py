"""Declare the columns of the tables that several steps read."""

from __future__ import annotations

import polars as pl

from src.core.arrays import F32, I32

EVENTS = pl.Schema({"session": pl.Int32, "item": pl.Int32, "ts": pl.Int32, "type": pl.Int8})
"""One event a row, sorted by session and time, in file order where times are equal.

Session and item are dense ids (row numbers of `sessions.parquet` and `items.parquet`); ts is in
seconds since 1970; type is an index into `Recipe.types`. Where a data set has context (device,
region, ...), its columns follow, as Int32.
"""

SESSIONS = pl.Schema({"session": pl.Int64, "query": pl.Boolean})
"""Raw id of each dense session; the queries (sessions to predict for) are the last rows."""

LABELS = pl.Schema({"session": pl.Int32, "objective": pl.Int8, "item": pl.Int32})
"""What a query session did next, per objective; sorted, without duplicates."""

CANDIDATES = pl.Schema(
    {"session": pl.Int32, "rank": pl.UInt8, "item": pl.Int32, "score": pl.Float32}
)
"""One candidate of one retriever a row, by session and rank; `rank` counts from 0."""

TopLists = tuple[I32, F32]
"""Items (int32, -1 where a list ends) and scores, both of shape (queries, top)."""

Lists = dict[str, tuple[I32, I32]]
"""Per objective: dense sessions (n,) and their dense items (n, k), best first, -1 at the end."""
