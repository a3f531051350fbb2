"""Value and ideal of every query, and the score they add up to."""

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
    """Value and ideal of each query that has a positive; rows align with `session`."""

    session: I64
    value: F64
    ideal: F64

    @classmethod
    def concat(cls, pieces: Sequence[QueryScores]) -> QueryScores:
        """The queries of several, one after the other; a session may come again."""
        parts = ("session", "value", "ideal")
        return cls(*(np.concatenate([getattr(s, part) for s in pieces]) for part in parts))

    def score(self, mask: NDArray[np.bool_] | slice = slice(None)) -> float:
        """Score of all queries, or of those that are marked."""
        return float(self.value[mask].sum() / max(self.ideal[mask].sum(), 1.0))


def capped_count(session: I32 | I64, cap: int) -> int:
    """Count rows, at most `cap` per session."""
    return int(np.minimum(np.unique(session, return_counts=True)[1], cap).sum())


def score_lists(lists: pl.LazyFrame, truth: pl.LazyFrame, metric: Metric) -> QueryScores:
    """Score lists (session, item, rank from 0) against the truth (session, item).

    An item that a list names twice counts once, at its best rank. A session of the truth without a
    list has value 0 and keeps its ideal.
    """
    pair = ["session", "item"]
    best = lists.join(truth, on=pair, how="semi").group_by(pair).agg(pl.col("rank").min())
    table = truth.join(best, on=pair, how="left").sort("session").collect()
    rank = table["rank"].cast(pl.Int32).fill_null(-1)
    return score_ranks(table["session"].to_numpy(), rank.to_numpy(), metric)


def score_ranks(session: I32 | I64, rank: I32, metric: Metric) -> QueryScores:
    """The same where the rank of each positive in its session's list is known (-1: not in it).

    session, rank: one a positive; sessions ascend.
    """
    if session.size == 0:
        return QueryScores(np.empty(0, np.int64), np.empty(0), np.empty(0))
    offsets = np.flatnonzero(np.diff(session, prepend=-1))
    positives = np.diff(offsets, append=session.size)
    values = metric.values(rank, offsets)
    return QueryScores(session[offsets].astype(np.int64), values, metric.ideal(positives))
