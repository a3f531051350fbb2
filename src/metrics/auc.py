"""Area under the ROC curve of each list: the share of its pairs that are in the right order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.base import WHOLE_LIST, Metric, Norms, row_sums
from src.metrics.judged import Judged


@dataclass(frozen=True)
class AUC(Metric):
    """Share of the pairs of a positive and a judged negative with the positive in front.

    The mean over queries that have both; others are left out. Each judged item has to be listed: a
    query whose list lacks a positive counts 0. Under ties="averaged"
    (`ranked_grades`), grades 0 and 1 give a tied pair one half, as scikit-learn does.
    """

    name = "auc"

    k: int = WHOLE_LIST

    def __post_init__(self) -> None:
        if self.k != WHOLE_LIST:
            raise ValueError(f"auc@{self.k}: auc is of whole lists; give auc")

    def raw_values(self, listed: NDArray) -> F64:
        """Return the sum over positives of k - rank, which zeros at the end do not change."""
        share = np.minimum(listed[:, : self.k].astype(np.float64), 1.0)
        return row_sums(share * (self.k - np.arange(share.shape[1])))

    def norms(self, judged: Judged) -> Norms:
        """Turn the sum of ranks of P positives among N negatives into a share of P N pairs."""
        positives = judged.positives.astype(np.float64)
        negatives = np.diff(judged.offsets) - positives
        both = (positives > 0) & (negatives > 0)
        n, p = np.where(both, negatives, 1.0), np.where(both, positives, 1.0)
        added = np.where(both, p * n + p * (p - 1.0) / 2.0 - p * self.k, 0.0)
        return Norms(np.where(both, p * n, np.inf), both.astype(np.float64), added, 0.0)

    @property
    def convention(self) -> str:
        return "pairs in the right order, of lists with both classes; equal scores go by item id"
