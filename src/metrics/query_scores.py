"""Score ranked lists against the ground truth: value and ideal of every query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.arrays import F32, F64, I32, I64, arrays
from src.data.shards import batches
from src.metrics.base import Metric
from src.metrics.judged import Judged

CELLS = 1 << 22
"""Ranks of lists that are in memory at a time."""


@dataclass(frozen=True)
class QueryScores:
    """Value and ideal of each query that has a judged item, as aligned columns."""

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
    """Score lists (session, item, rank from 0) against the ground truth (session, item, grade).

    An item that occurs twice in a list counts once, at its best rank. A session without a list has
    the value of an empty one.
    """
    pair = ["session", "item"]
    best = lists.join(truth, on=pair, how="semi").group_by(pair).agg(pl.col("rank").min())
    table = truth.join(best, on=pair, how="left").sort("session").collect()
    rank = table["rank"].cast(pl.Int32).fill_null(-1)
    session, ranks, grade = arrays(table.with_columns(rank), "session", "rank", "grade")
    return score_ranks(session, ranks, grade, metric)


def score_ranks(session: I32 | I64, rank: I32, grade: F32, metric: Metric) -> QueryScores:
    """Score lists from the ranks of the judged items.

    session, rank, grade: of each judged item, sorted by session; rank -1 if the list does not have
    it. No two items of a list have the same rank.
    """
    sessions, query = np.unique(session, return_inverse=True)
    norms = metric.norms(Judged.of_queries(query, grade, sessions.size))
    rows = np.flatnonzero((rank >= 0) & (rank < metric.k) & (grade > 0))
    width = int(rank[rows].max(initial=0)) + 1
    raw = np.zeros(sessions.size)
    for first, end in batches(0, sessions.size, max(1, CELLS // width)):
        low, high = np.searchsorted(query[rows], (first, end))
        of_batch, listed = rows[low:high], np.zeros((end - first, width), np.float32)
        listed[query[of_batch] - first, rank[of_batch]] = grade[of_batch]
        raw[first:end] = metric.raw_values(listed)
    return QueryScores(sessions.astype(np.int64), norms.values(raw), norms.ideal)
