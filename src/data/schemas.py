"""Schemas of the tables, and types of the lists, that several steps read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from src.core.arrays import F32, F64, I32, I64, positions

EVENTS = pl.Schema({"session": pl.Int32, "item": pl.Int32, "ts": pl.Int32, "type": pl.Int8})
"""One event a row, sorted by session and time; events of equal time are in the order of the file.

Session and item are dense ids: row numbers of `sessions.parquet` and `items.parquet`. ts is in
seconds since 1970. type is an index into `Recipe.types`. Context columns of a dataset follow, such
as device or region, as Int32. A split may have no events at all, as lists of documents have none.
"""

SESSIONS = pl.Schema({"session": pl.Int64, "query": pl.Boolean})
"""Raw id of each dense session. The queries, sessions to predict for, are the last rows.

Where raw ids are texts, `session` is the dense id, and a column `id` (String) has the texts. A
column `user` (Int64), if there is one, keeps the sessions of a user in one fold. A column `text`
(String), if there is one, has the text of each session, such as the title of a playlist.
"""

GIVEN = pl.Schema({"session": pl.Int32, "item": pl.Int32})
"""First columns of given.parquet: the candidates of each query, sorted, each pair once.

`Recipe.given_columns` follow, as Float32; null where a value is missing.
"""

LABELS = pl.Schema(
    {"session": pl.Int32, "objective": pl.Int8, "item": pl.Int32, "grade": pl.Float32}
)
"""Judged items of each query and objective; sorted, an item once.

A grade is a finite number from 0. An item of a higher grade than 0 is a positive; 0 is an item that
was judged not relevant. Where a log only says what came true, each row is a positive of grade 1.
"""

POSITIVE = pl.lit(1.0, pl.Float32).alias("grade")
"""Grade of what came true."""

CANDIDATES = pl.Schema(
    {"session": pl.Int32, "rank": pl.UInt16, "item": pl.Int32, "score": pl.Float32}
)
"""One candidate of one retriever a row, sorted by session and rank; ranks count from 0."""

TopLists = tuple[I32, F32]
"""Items (int32, -1 where a list ends) and scores (float32), both (queries, top)."""


class FinalList(NamedTuple):
    """Final lists of one objective as CSR by query, best first; lists may differ in length."""

    session: I32  # dense, of each query
    offsets: I64
    item: I32
    score: F32  # by which a list is ordered; ties by item
    probability: F64 | None = None  # of each item, from the recipe's calibrator

    def first(self, k: int) -> I32:
        """Return the first k items of each query: int32 (queries, k), -1 where a list ends."""
        items = np.full((self.session.size, k), -1, np.int32)
        query, rank = np.repeat(np.arange(len(items)), np.diff(self.offsets)), self.rank
        items[query[rank < k], rank[rank < k]] = self.item[rank < k]
        return items

    @property
    def rank(self) -> I64:
        """Rank of each item in its list, from 0."""
        return positions(self.offsets)


FinalLists = dict[str, FinalList]
"""Final lists by objective."""
