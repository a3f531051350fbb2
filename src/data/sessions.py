"""Load the sessions of a split as arrays for kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.arrays import I8, I32, I64, arrays, count_items, offsets_of_ids
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import EVENTS
from src.data.splits import fitted_split, split_named

BYTES_PER_EVENT = 17.0


@dataclass(frozen=True)
class Sessions:
    """Sessions of a split as CSR: events of session s are rows offsets[s] : offsets[s + 1]."""

    offsets: I64
    item: I32
    ts: I32
    type: I8
    n_items: int
    first_query: int  # sessions first_query : n_sessions are the queries

    @property
    def n_sessions(self) -> int:
        return self.offsets.size - 1

    @property
    def n_queries(self) -> int:
        return self.n_sessions - self.first_query

    def count_items(self) -> I64:
        """Count the events of each item: int64 (items)."""
        return count_items(self.item, self.n_items)

    def own_rows(self, first: int, end: int) -> I64:
        """Return the first row of sessions first : end, by which an index of them knows each."""
        return self.offsets[first:end]

    def last_event(self, first: int, end: int) -> I64:
        """Return the row of the last event of sessions first : end; -1 for an empty session."""
        stop = self.offsets[first + 1 : end + 1]
        return np.where(stop > self.offsets[first:end], stop - 1, -1)

    def last_ts(self, first: int, end: int) -> I32:
        """Return the time of the last event of sessions first : end, in seconds: int32.

        An empty session gets the time of the last event of the split; 0 where there is none.
        """
        last = self.last_event(first, end)
        if (last < 0).any():
            return np.append(self.ts, self.ts.max(initial=0))[last]  # index -1: the appended time
        return self.ts[last]

    @classmethod
    def load(cls, run: Run, split: str) -> Sessions:
        """Read the sessions of a split, column by column: BYTES_PER_EVENT at the peak."""
        n_items, sizes = count_rows(paths.items(run)), split_named(run, split)
        events = paths.events(run, split)

        def column(name: str) -> NDArray:
            return arrays(pl.read_parquet(events, columns=[name]), name)[0]

        offsets = offsets_of_ids(column("session"), 0, sizes.sessions)
        item, ts, type_ = column("item"), column("ts"), column("type")
        return cls(offsets, item, ts, type_, n_items, sizes.first_query)

    @staticmethod
    def fitted_memory(run: Run, split: str) -> float:
        """Count the bytes of the sessions that a split is fitted to, where they are not its own."""
        fitted = fitted_split(run, split)
        return 0.0 if fitted == split else BYTES_PER_EVENT * count_rows(paths.events(run, fitted))

    @classmethod
    def from_events(
        cls, events: pl.DataFrame, n_sessions: int, n_items: int, first_query: int
    ) -> Sessions:
        """Convert an EVENTS frame to arrays."""
        session, item, ts, type_ = arrays(events, *EVENTS.names())
        return cls(offsets_of_ids(session, 0, n_sessions), item, ts, type_, n_items, first_query)
