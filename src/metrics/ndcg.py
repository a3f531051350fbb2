"""Normalised discounted cumulative gain of the first k items."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.base import MeanMetric, row_sums
from src.metrics.judged import Judged

Gain = Literal["exponential", "linear"]

LARGEST = 31
"""Highest grade that an exponential gain takes, as in XGBoost; LightGBM's table ends at 30."""


@dataclass(frozen=True)
class NDCG(MeanMetric):
    """Sum of gain / log2(2 + rank), over that of the k highest grades of the query; ranks from 0.

    gain: "exponential", 2^grade - 1 (Burges et al., 2005); "linear", the grade itself (Järvelin and
    Kekäläinen, 2002). On grades 0 and 1 they are the same.
    """

    name = "ndcg"

    k: int = 10
    _: KW_ONLY
    gain: Gain = "exponential"

    def raw_values(self, listed: NDArray) -> F64:
        grade = listed[:, : self.k].astype(np.float64)
        gain = np.exp2(grade) - 1 if self.gain == "exponential" else grade
        return row_sums(gain / np.log2(2.0 + np.arange(gain.shape[1])))

    def scale(self, judged: Judged) -> F64:
        """Return the DCG of the best lists; raise ValueError for a grade above LARGEST."""
        if self.gain == "exponential" and judged.largest > LARGEST:
            raise ValueError(
                f"{self}: grade {judged.largest:g} is above {LARGEST}, the highest for gain "
                f"2^grade - 1; take the linear gain, {self}:gain=linear"
            )
        return self.raw_values(judged.best_lists(self.k))

    @property
    def formula(self) -> str:
        gain = "2^grade - 1" if self.gain == "exponential" else "grade"
        return f"gain {gain}, discount log2(1 + rank), over the best {self.k} judged"
