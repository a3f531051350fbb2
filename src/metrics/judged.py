"""Hold the judged items of queries, and list them in the best order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.arrays import F32, I32, I64, Mask, arrays, offsets_of_sizes, positions


@dataclass(frozen=True)
class Judged:
    """Grades of the judged items of each query, ragged.

    grade: float32 (items), finite and at least 0; above 0 is a positive. offsets: CSR of the
    queries. A query without a judged item never counts; what one without a positive counts, the
    metric says.
    """

    grade: F32
    offsets: I64

    def __post_init__(self) -> None:
        if not (np.isfinite(self.grade) & (self.grade >= 0)).all():
            raise ValueError("a grade is a finite number, 0 or more; correct the labels")

    @classmethod
    def of_queries(cls, query: I32 | I64, grade: F32, n_queries: int) -> Judged:
        """Take the grades of items that are sorted by query; query: its number from 0."""
        return cls(grade, offsets_of_sizes(np.bincount(query, minlength=n_queries)))

    @classmethod
    def of_sessions(cls, truth: pl.DataFrame, n_sessions: int) -> Judged:
        """Take columns session and grade, sorted by session; each session is a query."""
        session, grade = arrays(truth, "session", "grade")
        return cls.of_queries(session, grade, n_sessions)

    @property
    def query(self) -> I64:
        """Number of the query of each item."""
        return np.repeat(np.arange(self.offsets.size - 1), np.diff(self.offsets))

    @property
    def exists(self) -> Mask:
        """Whether each query has a judged item."""
        return np.diff(self.offsets) > 0

    @property
    def positives(self) -> I64:
        """Number of positives of each query."""
        return np.diff(offsets_of_sizes(self.grade > 0)[self.offsets])

    @property
    def largest(self) -> float:
        """The highest grade; 0 without an item."""
        return float(self.grade.max(initial=0))

    def take(self, queries: I64) -> Judged:
        """Keep some queries, in their order."""
        sizes = np.diff(self.offsets)[queries]
        offsets = offsets_of_sizes(sizes)
        rows = np.repeat(self.offsets[queries], sizes) + positions(offsets)
        return Judged(self.grade[rows], offsets)

    def best_lists(self, k: int) -> F32:
        """List the k highest grades of each query: float32 (queries, at most k), 0 at the end."""
        return best_lists(self.query, self.grade, self.offsets.size - 1, k)


def best_lists(query: NDArray, grade: F32, n_queries: int, k: int) -> F32:
    """List the k highest grades of each query, best first: (n_queries, at most k), 0 at the end.

    query, grade: of each item, in any order.
    """
    positives = np.flatnonzero(grade > 0)
    order = positives[np.lexsort((-grade[positives], query[positives]))]
    sizes = np.bincount(query[order], minlength=n_queries)
    rank = positions(offsets_of_sizes(sizes))
    listed = rank < k
    table = np.zeros((n_queries, max(1, min(k, int(sizes.max(initial=0))))), np.float32)
    table[query[order[listed]], rank[listed]] = grade[order[listed]]
    return table
