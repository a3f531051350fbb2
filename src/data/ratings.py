"""Ratings of the events of a split, and what the items and sessions let one expect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from src.core.arrays import F64
from src.data import paths
from src.data.sessions import Sessions
from src.data.split_data import SplitData

RATING = "rating"
"""Column of events.parquet, Float32; null where an event has no rating."""
SHRINKAGE = 5.0  # ratings of average size that every item and session has besides its own


@dataclass(frozen=True)
class Ratings:
    """Ratings as sums: mean + bias of the item + bias of the session + residual.

    An item or a session without ratings has a bias of 0, an event without one a residual of NaN.
    """

    mean: float
    item: F64  # biases of items
    session: F64  # biases of sessions
    residual: F64  # of each event
    item_count: F64  # ratings of each item
    session_count: F64

    @classmethod
    def of(cls, sessions: Sessions, rating: F64) -> Ratings:
        """Fit the biases, items first; rating: of each event, NaN where there is none."""
        rated = ~np.isnan(rating)
        session = np.repeat(np.arange(sessions.n_sessions), np.diff(sessions.offsets))[rated]
        item, value = sessions.item[rated], rating[rated]
        mean = float(value.mean()) if value.size else 0.0
        item_bias, item_count = _bias(item, value - mean, sessions.n_items)
        left = value - mean - item_bias[item]
        session_bias, session_count = _bias(session, left, sessions.n_sessions)
        residual = np.full(rating.size, np.nan)
        residual[rated] = left - session_bias[session]
        return cls(mean, item_bias, session_bias, residual, item_count, session_count)

    @classmethod
    def read(cls, data: SplitData) -> Ratings:
        """Fit the ratings of a split, once."""

        def make() -> Ratings:
            events = pl.read_parquet(paths.events(data.run, data.split), columns=[RATING])
            rating = events[RATING].cast(pl.Float64).fill_null(np.nan).to_numpy()
            return cls.of(data.sessions, rating)

        return data.cached(("ratings",), make)


def _bias(group: np.ndarray, value: F64, n: int) -> tuple[F64, F64]:
    """Average the values of each group with SHRINKAGE zeros; return that and the counts."""
    count = np.bincount(group, minlength=n).astype(np.float64)
    return np.bincount(group, value, n) / (count + SHRINKAGE), count
