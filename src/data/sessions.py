"""Events and sessions: the tables every step reads, and the same as arrays for the kernels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from numpy.typing import NDArray

from src.core.arrays import I8, I32, I64, arrays, offsets_of
from src.data.schemas import EVENTS


@dataclass(frozen=True)
class Sessions:
    """All sessions of a split as CSR: events of session s are offsets[s] : offsets[s + 1]."""

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

    @classmethod
    def load(cls, output: Path, split: str) -> Sessions:
        """Read a prepared split, column by column: 17 bytes an event at the peak."""
        sessions = pl.read_parquet(output / split / "sessions.parquet")
        n_items = pl.scan_parquet(output / "items.parquet").select(pl.len()).collect().item()
        events, first_query = output / split / "events.parquet", int((~sessions["query"]).sum())

        def column(name: str) -> NDArray:
            return arrays(pl.read_parquet(events, columns=[name]), name)[0]

        offsets = offsets_of(column("session"), sessions.height)
        item, ts, type_ = column("item"), column("ts"), column("type")
        return cls(offsets, item, ts, type_, n_items, first_query)

    @classmethod
    def from_events(
        cls, events: pl.DataFrame, n_sessions: int, n_items: int, first_query: int
    ) -> Sessions:
        """CSR arrays of an EVENTS frame."""
        session, item, ts, type_ = arrays(events, *EVENTS.names())
        return cls(offsets_of(session, n_sessions), item, ts, type_, n_items, first_query)
