"""Raw lists that a bundle scores: feature rows, items and events of sessions, as tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from src.candidates.pool import Pool
from src.core.arrays import F32, I32, I64
from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.rankers.batches import CandidateBatch

ITEM, LIST = "item", "list"
UNKNOWN = -1
"""Dense id of an item that the items of the run lack."""


class ListData(SplitData):
    """Sessions of lists at hand, where a model expects those of a split."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions


@dataclass(frozen=True)
class ItemIds:
    """Raw ids of the items; the dense id of an item is its row."""

    raw: pl.Series

    def dense(self, raw: pl.Series) -> I32:
        """Return dense ids, UNKNOWN for ids that are not there: int32 (rows)."""
        known = pl.DataFrame({ITEM: self.raw}).with_row_index("dense")
        rows = pl.DataFrame({ITEM: raw.cast(self.raw.dtype)})
        dense = rows.join(known, on=ITEM, how="left", maintain_order="left")["dense"]
        return dense.cast(pl.Int32).fill_null(UNKNOWN).to_numpy().astype(np.int32)


def sessions_of(
    events: pl.DataFrame | None, lists: int, ids: ItemIds, types: tuple[str, ...]
) -> Sessions:
    """Convert events to sessions: that of list n is session n.

    events: list, item (raw id), ts (seconds), type (its name), in time order; None: there are none.
    """
    if events is None:
        return Sessions.from_events(pl.DataFrame(schema=EVENTS), lists, len(ids.raw), 0)
    number = {name: n for n, name in enumerate(types)}
    columns = {
        "session": events[LIST], "item": ids.dense(events[ITEM]), "ts": events["ts"],
        "type": events["type"].replace_strict(number, return_dtype=pl.Int8),
    }  # fmt: skip
    table = pl.DataFrame(columns).cast(EVENTS).sort("session", maintain_order=True)
    return Sessions.from_events(table, lists, len(ids.raw), 0)


def batch_of(
    X: F32, names: list[str], offsets: I64, item: I32, sessions: Sessions
) -> CandidateBatch:
    """Make a batch of lists; it has no ranks and scores of retrievers."""
    nothing = np.zeros((len(X), 0), np.float32)
    pool = Pool(0, offsets, item, np.zeros(len(X), np.float32), nothing, nothing)
    return CandidateBatch(ListData(sessions), pool, names, X, np.arange(len(X)))
