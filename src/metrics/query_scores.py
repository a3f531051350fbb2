"""Score ranked lists against the ground truth: value and ideal of every query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.arrays import F64, I32, I64
from src.metrics.base import Metric


@dataclass(frozen=True)
class QueryScores:
    """Value and ideal of each query that has a positive, as aligned columns."""

    session: I64
    value: F64
    ideal: F64

    @classmethod
    def concat(cls, scores: Sequence[QueryScores]) -> QueryScores:
        """Concatenate the queries; a session may occur more than once."""
        columns = ("session", "value", "ideal")
        return cls(*(np.concatenate([getattr(s, column) for s in scores]) for column in columns))

    def score(self, mask: NDArray[np.bool_] | slice = slice(None)) -> float:
        """Return the score of all queries, or of those in the mask."""
        return float(self.value[mask].sum() / max(self.ideal[mask].sum(), 1.0))


def capped_count(session: I32 | I64, cap: int) -> int:
    """Count rows, at most `cap` per session."""
    return int(np.minimum(np.unique(session, return_counts=True)[1], cap).sum())


def score_lists(lists: pl.LazyFrame, truth: pl.LazyFrame, metric: Metric) -> QueryScores:
    """Score lists (session, item, rank from 0) against the ground truth (session, item).

    An item that occurs twice in a list counts once, at its best rank. A session without a list has
    value 0 and its full ideal.
    """
    pair = ["session", "item"]
    best = lists.join(truth, on=pair, how="semi").group_by(pair).agg(pl.col("rank").min())
    table = truth.join(best, on=pair, how="left").sort("session").collect()
    rank = table["rank"].cast(pl.Int32).fill_null(-1)
    return score_ranks(table["session"].to_numpy(), rank.to_numpy(), metric)


def score_ranks(session: I32 | I64, rank: I32, metric: Metric) -> QueryScores:
    """Score lists from the ranks of the positives.

    session, rank: of each positive, sorted by session; rank -1 if the list does not have it.
    """
    if session.size == 0:
        return QueryScores(np.empty(0, np.int64), np.empty(0), np.empty(0))
    offsets = np.flatnonzero(np.diff(session, prepend=-1))
    positives = np.diff(offsets, append=session.size)
    values = metric.values(rank, offsets)
    return QueryScores(session[offsets].astype(np.int64), values, metric.ideal(positives))
