"""Random scored lists with ties, empty lists and unlisted items, for tests of metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from src.core.arrays import F32, F64, I32, I64, offsets_of_sizes
from src.metrics.base import Metric
from src.metrics.judged import Judged
from src.metrics.ties import Ties, ranked_grades


class Query(NamedTuple):
    """Items of a query, ascending, with their scores and grades."""

    item: I32
    score: F32
    grade: F32


@dataclass(frozen=True)
class ScoredLists:
    """Queries as CSR. listed: whether an item is scored; the others are only judged."""

    offsets: I64
    item: I32
    score: F32
    grade: F32
    listed: np.ndarray

    @property
    def judged(self) -> Judged:
        return Judged(self.grade, self.offsets)

    def table(self, k: int, ties: Ties = "item") -> F64:
        """Grades by rank, of the listed items."""
        sizes = np.add.reduceat(self.listed, self.offsets[:-1], dtype=np.int64)
        columns = (c[self.listed] for c in (self.item, self.score, self.grade))
        return ranked_grades(offsets_of_sizes(sizes), *columns, k, ties)

    def values(self, metric: Metric, ties: Ties = "item") -> F64:
        """The value of each query."""
        return metric.values(self.table(metric.k, ties), self.judged)

    def mean(self, metric: Metric, ties: Ties = "item") -> float:
        """The score: values over ideals."""
        ideal = metric.norms(self.judged).ideal
        return float(self.values(metric, ties).sum() / ideal.sum())

    def queries(self, listed: bool = False) -> list[Query]:
        """Query by query; listed: only the items of the list."""
        keep = self.listed if listed else np.ones(self.item.size, bool)
        for_each = zip(self.offsets[:-1], self.offsets[1:], strict=True)
        rows = [first + np.flatnonzero(keep[first:end]) for first, end in for_each]
        return [Query(self.item[r], self.score[r], self.grade[r]) for r in rows]


def random_lists(seed: int, n: int = 150, top: int = 4, unlisted: float = 0.0) -> ScoredLists:
    """n queries of 2 to 30 items: grades 0 to top, few scores, a tenth without a positive."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 31, n)
    item = np.concatenate([np.sort(rng.choice(99, s, replace=False)) for s in sizes])
    total = item.size
    grade = rng.integers(0, top + 1, total) * (rng.random(total) < 0.4)
    grade[np.repeat(rng.random(n) < 0.1, sizes)] = 0
    score = (rng.integers(0, 6, total) - (grade > 1)) / 4
    listed = rng.random(total) >= unlisted
    offsets = offsets_of_sizes(sizes)
    listed[offsets[:-1]] = True  # a library may leave out a query without a list
    return ScoredLists(
        offsets, item.astype(np.int32), score.astype(np.float32), grade.astype(np.float32), listed
    )
