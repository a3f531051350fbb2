"""Metrics of probabilities: log loss, normalised entropy, calibration; AUC pooled and by group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64, I64, Mask
from src.metrics.bootstrap import bootstrap
from src.metrics.pooled import PooledAUC
from src.metrics.query_scores import QueryScores

BINS = 10
"""Bins of the calibration error, of equally many rows."""
GROUPS = 2_000
"""Most groups of users that a bootstrap draws from: there are many tables of many cells."""
SMALLEST = 1e-15
"""Probabilities are kept so far from 0 and 1 in logarithms."""


@dataclass(frozen=True)
class Predictions:
    """Probabilities of rows, and whether each came true; rows without a known label are not here.

    user: of each row, an id; intervals are over users, or over sessions where there is no user.
    """

    probability: F64
    positive: Mask
    user: I64

    @classmethod
    def known(cls, probability: NDArray, grade: NDArray, user: NDArray) -> Predictions:
        """Keep the rows whose grade is known, not NaN; a grade above 0 is a positive."""
        rows = ~np.isnan(grade)
        p = probability[rows].astype(np.float64)
        return cls(p, grade[rows] > 0, user[rows].astype(np.int64))

    def take(self, rows: NDArray) -> Predictions:
        """Keep some rows: their numbers, or a mask."""
        return Predictions(self.probability[rows], self.positive[rows], self.user[rows])

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers of positives and of negatives."""
        positives = int(self.positive.sum())
        return positives, self.positive.size - positives

    @cached_property
    def losses(self) -> F64:
        """Minus the logarithm of the probability of what came true, of each row."""
        p = np.clip(self.probability, SMALLEST, 1.0 - SMALLEST)
        losses: F64 = -np.log(np.where(self.positive, p, 1.0 - p))
        return losses

    @property
    def log_loss(self) -> float:
        return mean(self.losses)

    def normalised_entropy(self, base: F64 | None = None) -> float:
        """Divide the log loss by that of base rates, one for each row (None: the rate of all rows).

        Below 1, or the probabilities say less than the rates: He et al., 2014.
        """
        rate = np.full(self.positive.size, mean(self.positive)) if base is None else base
        of_rate = Predictions(rate, self.positive, self.user).log_loss
        return self.log_loss / of_rate if of_rate > 0 else float("nan")

    @property
    def calibration_ratio(self) -> float:
        """Sum of the probabilities over the number of positives; NaN without a positive."""
        positives = self.counts[0]
        return float(self.probability.sum()) / positives if positives else float("nan")

    def calibration_error(self, bins: int = BINS) -> float:
        """Average |mean probability - share of positives| over bins of equally many rows (ECE).

        Rows of equal probability are in one bin: the order of rows changes nothing.
        """
        if not self.positive.size:
            return float("nan")
        edges = np.quantile(self.probability, np.arange(1, bins) / bins, method="lower")
        number = np.searchsorted(np.unique(edges), self.probability, side="left")
        gap = np.bincount(number, self.probability - self.positive)
        return float(np.abs(gap).sum()) / self.positive.size

    @property
    def auc(self) -> float:
        """Share of the pairs in the right order, ties half; NaN where all rows are of one class."""
        return mean(PooledAUC().row_values(self.probability, self.positive))

    def auc_interval(self, seed: int) -> tuple[float, float]:
        """Compute the 95 % interval of the AUC, over users; NaN where it is undefined."""
        return self._interval(PooledAUC().row_values(self.probability, self.positive), seed)

    def _interval(self, value: F64, seed: int) -> tuple[float, float]:
        """Bootstrap a mean over rows by drawing users."""
        if not value.size or np.isnan(value).any():
            return float("nan"), float("nan")
        users, number = np.unique(self.user % GROUPS, return_inverse=True)
        sums, rows = (np.bincount(number, x).astype(np.float64) for x in (value, value == value))
        low, high = bootstrap([QueryScores(users, sums, rows)], [1.0], seed)
        return float(low[0]), float(high[0])

    def auc_macro(self, group: I64, least: int = 1) -> float:
        """Average the AUC inside groups, each counting the same (scenes, or lists for a GAUC).

        Groups with fewer than `least` rows of either class are left out.
        """
        return mean(aucs_by_group(self.probability, self.positive, group, least))


def aucs_by_group(score: NDArray, positive: Mask, group: I64, least: int = 1) -> F64:
    """Compute the AUC of each group with `least` rows of both classes, by number of the group.

    score, positive, group: of each row, in any order. Equal scores count half.
    """
    order = np.lexsort((score, group))
    group, score, positive = group[order], score[order], positive[order]
    new_group = np.diff(group, prepend=group[:1] - 1) != 0
    new_tie = new_group | (np.diff(score, prepend=np.nan) != 0)
    number, tie = np.cumsum(new_group) - 1, np.cumsum(new_tie) - 1
    rank = np.arange(group.size) - np.flatnonzero(new_group)[number]
    rank = (np.bincount(tie, rank) / np.bincount(tie))[tie] if rank.size else rank
    positives = np.bincount(number, positive)
    negatives = np.bincount(number) - positives
    wins = np.bincount(number, rank * positive) - positives * (positives - 1) / 2
    both = np.minimum(positives, negatives) >= least
    aucs: F64 = wins[both] / (positives * negatives)[both]
    return aucs


def mean(values: NDArray) -> float:
    """Average values; NaN where there are none."""
    return float(values.mean()) if values.size else float("nan")
