"""Metrics of the judged items of all queries together, where scores of queries are comparable."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from src.core.arrays import F32, F64, I32, I64, Mask
from src.metrics.base import WHOLE_LIST, Metric, Norms
from src.metrics.judged import Judged
from src.metrics.query_scores import QueryScores


@dataclass(frozen=True)
class PooledMetric(Metric):
    """Metric that compares rows of different queries, so a query may have one candidate."""

    pooled = True

    k: int = WHOLE_LIST

    def __post_init__(self) -> None:
        if self.k != WHOLE_LIST:
            raise ValueError(f"{self.name}@{self.k}: it is of all rows; give {self.name}")

    @abstractmethod
    def row_values(self, score: NDArray, positive: Mask) -> F64:
        """Return a value for each row, whose mean is the metric of all: float64 (rows).

        A mean over rows drawn anew has about the deviation of the metric itself, so that
        bootstrap and paired differences work as for means over queries. NaN where undefined.
        """

    def raw_values(self, listed: NDArray) -> NoReturn:
        """Raise ValueError: the order inside a list says nothing about other lists."""
        raise ValueError(f"{self} compares rows of different queries; take a metric of lists")

    def norms(self, judged: Judged) -> Norms:
        """Return the number of judged items as the ideal of a query."""
        sizes = np.diff(judged.offsets).astype(np.float64)
        return Norms(np.ones(sizes.size), sizes, np.zeros(sizes.size))


@dataclass(frozen=True)
class PooledAUC(PooledMetric):
    """Share of the pairs of a positive and a negative row with the positive in front; ties half."""

    name = "pooled_auc"

    def row_values(self, score: NDArray, positive: Mask) -> F64:
        """Return AUC + n / P (share of negatives below - AUC) for a positive, and so on.

        The share of the other class on the wrong side varies between rows as the AUC does between
        draws of rows: DeLong et al., 1988. NaN where all rows are of one class.
        """
        n, positives = positive.size, int(positive.sum())
        if positives in (0, n):
            return np.full(n, np.nan)
        below, of_class = rankdata(score), np.empty(n)
        for mask in (positive, ~positive):
            of_class[mask] = rankdata(score[mask])
        others = np.where(positive, n - positives, positives)
        share = (below - of_class) / others
        share[~positive] = 1.0 - share[~positive]
        auc = share[positive].mean()
        value: F64 = auc + n / (n - others) * (share - auc)
        return value

    @property
    def convention(self) -> str:
        return (
            "pairs of rows in the right order, of all queries of a fold; equal scores count half; "
            "mean over folds by rows"
        )


def pooled_scores(
    session: I32 | I64, score: NDArray, grade: F32, metric: PooledMetric, group: I64 | None = None
) -> QueryScores:
    """Score the judged rows of sessions: value and ideal are sums over the rows of a session.

    session, score, grade: of each row, in any order. group: of each row; rows of different groups,
    such as folds with models of their own, are not compared. The score of a group is the metric
    of its rows, that of all groups their mean by rows. A group of one class does not count.
    """
    value = np.full(session.size, np.nan)
    groups = np.zeros(session.size, np.int64) if group is None else group
    for rows in (groups == g for g in np.unique(groups)):
        value[rows] = metric.row_values(score[rows], grade[rows] > 0)
    counts = ~np.isnan(value)
    sessions, query = np.unique(session, return_inverse=True)
    sums, ideals = (
        np.bincount(query[counts], x[counts], sessions.size).astype(np.float64)
        for x in (value, counts)
    )
    return QueryScores(sessions.astype(np.int64), sums, ideals)
