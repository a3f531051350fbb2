"""Fill short lists up with items that every list may have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import I32


def by_popularity(events: Path, n_items: int, last_s: int | None = None) -> I32:
    """Order all items by their number of events in the last seconds of a split; ties by item.

    last_s: None counts all events.
    """
    table = pl.read_parquet(events, columns=["item", "ts"])
    if last_s is not None:
        table = table.filter(pl.col("ts") > pl.col("ts").max() - last_s)
    count = np.bincount(table["item"].to_numpy(), minlength=n_items)
    return np.argsort(-count, kind="stable").astype(np.int32)


def fill_up(lists: I32, spare: I32, barred: Mapping[int, I32] | None = None) -> I32:
    """Replace every -1 of lists (n, k) by the first spare item that the list lacks.

    barred: row -> items that it may not get. Where no spare item is left, -1 stays.
    """
    out = lists.copy()
    for row in np.flatnonzero((lists < 0).any(axis=1)).tolist():
        kept = lists[row][lists[row] >= 0]
        more = spare[~np.isin(spare, kept)]
        if barred is not None and row in barred:
            more = more[~np.isin(more, barred[row])]
        full = np.concatenate([kept, more])[: lists.shape[1]]
        out[row, : full.size] = full
        out[row, full.size :] = -1
    return out
