"""Read the given candidates of a split: those of `Recipe.given`, with feature columns of their own.

Rows are read by query, so that no more than a batch has to be in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from src.core.arrays import I64, offsets_of_ids
from src.data import paths
from src.data.split_data import SplitData


def given_offsets(data: SplitData) -> I64:
    """Return the CSR offsets of the given candidates by query: int64 (queries + 1)."""

    def make() -> I64:
        session = pl.read_parquet(paths.given(data.run, data.split), columns=["session"])
        ids = session["session"].to_numpy()
        return offsets_of_ids(ids, data.first_query, data.n_sessions)

    return data.cached(("given offsets",), make)


def read_given(data: SplitData, first: int, end: int, columns: Sequence[str] = ()) -> pl.DataFrame:
    """Read the candidates of sessions first : end: session, item and some feature columns."""
    offsets = given_offsets(data)
    a, b = offsets[first - data.first_query], offsets[end - data.first_query]
    table = data.cached(("given",), lambda: pl.scan_parquet(paths.given(data.run, data.split)))
    return table.slice(a, b - a).select("session", "item", *columns).collect()
