"""Mean reciprocal rank of the first hit among the first k items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.base import MeanMetric, relevant


@dataclass(frozen=True)
class MRR(MeanMetric):
    """Value 1 / (1 + rank of the first hit), ranks from 0; 0 without a hit among the first k."""

    name = "mrr"

    k: int = 5

    @property
    def cap(self) -> int:
        return 1

    def raw_values(self, listed: NDArray) -> F64:
        hit = relevant(listed, self.k)
        return np.where(hit.any(axis=1), 1.0 / (1.0 + hit.argmax(axis=1)), 0.0)

    @property
    def formula(self) -> str:
        return "1 / rank of the first positive, 0 without one"
