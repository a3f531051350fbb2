"""Expected reciprocal rank of the first k items."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.base import MeanMetric, row_sums
from src.metrics.judged import Judged


@dataclass(frozen=True)
class ERR(MeanMetric):
    """Mean of 1 / rank at which a reader stops, who reads down from rank 1; 0 if behind k.

    At each item the reader stops with probability (2^grade - 1) / 2^max_grade: Chapelle et al.,
    2009. The value of a perfect list is below 1.
    """

    name = "err"

    k: int = 10
    _: KW_ONLY
    max_grade: int = 4

    def raw_values(self, listed: NDArray) -> F64:
        grade = listed[:, : self.k].astype(np.float64)
        stops = (np.exp2(grade) - 1) / 2.0**self.max_grade
        goes_on = np.cumprod(1 - stops, axis=1)
        reached = np.column_stack([np.ones(len(stops)), goes_on[:, :-1]])
        return row_sums(reached * stops / (1.0 + np.arange(stops.shape[1])))

    def scale(self, judged: Judged) -> F64:
        """Return ones; raise ValueError for a grade above max_grade."""
        if judged.largest > self.max_grade:
            raise ValueError(
                f"{self}: grade {judged.largest:g} is above max_grade; give a higher one, such as "
                f"{self.name}@{self.k}:max_grade={int(np.ceil(judged.largest))}"
            )
        return super().scale(judged)

    @property
    def formula(self) -> str:
        return f"a reader stops with (2^grade - 1) / 2^{self.max_grade}: mean of 1 / rank"
