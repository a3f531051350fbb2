"""Events and sessions: the tables every step reads, and the same as arrays for the kernels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

EVENTS = pl.Schema({"session": pl.Int32, "aid": pl.Int32, "ts": pl.Int32, "type": pl.Int8})
"""One event a row, sorted by session and time, in file order where times are equal.

Session and aid are dense ids (row numbers of `sessions.parquet` and `aids.parquet`); ts is in
seconds since 1970; type is an index into `Recipe.types`. Where a data set has context (device,
region, ...), its columns follow, as Int32.
"""

SESSIONS = pl.Schema({"session": pl.Int64, "query": pl.Boolean})
"""Raw id of each dense session; the queries (sessions to predict for) are the last rows."""

LABELS = pl.Schema({"session": pl.Int32, "objective": pl.Int8, "aid": pl.Int32})
"""What a query session did next, per objective; sorted, without duplicates."""

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Sessions:
    """All sessions of a split as CSR: events of session s are offsets[s] : offsets[s + 1]."""

    offsets: I64
    aid: I32
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
        n_items = pl.scan_parquet(output / "aids.parquet").select(pl.len()).collect().item()
        events, first_query = output / split / "events.parquet", int((~sessions["query"]).sum())

        def column(name: str) -> NDArray:
            return arrays(pl.read_parquet(events, columns=[name]), name)[0]

        offsets = offsets_of(column("session"), sessions.height)
        aid, ts, type_ = column("aid"), column("ts"), column("type")
        return cls(offsets, aid, ts, type_, n_items, first_query)

    @classmethod
    def from_events(
        cls, events: pl.DataFrame, n_sessions: int, n_items: int, first_query: int
    ) -> Sessions:
        """CSR arrays of an EVENTS frame."""
        session, aid, ts, type_ = arrays(events, *EVENTS.names())
        return cls(offsets_of(session, n_sessions), aid, ts, type_, n_items, first_query)


def offsets_of(session: I32, n_sessions: int) -> I64:
    """Where each session's events begin, and the last ones end."""
    return np.searchsorted(session, np.arange(n_sessions + 1)).astype(np.int64)


def arrays(frame: pl.DataFrame, *names: str) -> list[NDArray]:
    """Columns as arrays, always contiguous and read-only: numba compiles each kind anew."""
    out = [np.ascontiguousarray(frame[name].to_numpy()) for name in names]
    for array in out:
        array.flags.writeable = False
    return out


def hash_unit(ids: pl.Expr, seed: int) -> pl.Expr:
    """A number in [0, 1) per integer id that depends on nothing but the id and the seed.

    A linear congruence, the fifth power (a permutation modulo this prime, so that two seeds do not
    merely shift the numbers) and another congruence: plain arithmetic, so that any engine and any
    version of polars gives the same number.
    """
    prime = 2**31 - 1
    mixed = ((ids.cast(pl.Int64) % prime + seed * 7919) % prime * 48271 + 11) % prime
    square = mixed * mixed % prime
    mixed = square * square % prime * mixed % prime
    return ((mixed * 69621 + 7) % prime).cast(pl.Float64) / prime
