"""Hit rate: the share of queries with a hit among the first k items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.base import MeanMetric, relevant


@dataclass(frozen=True)
class HitRate(MeanMetric):
    """1 for a list with a hit among its first k items, else 0."""

    name = "hit"

    k: int = 10

    @property
    def cap(self) -> int:
        return 1

    def raw_values(self, listed: NDArray) -> F64:
        return np.where(relevant(listed, self.k).any(axis=1), 1.0, 0.0)

    @property
    def formula(self) -> str:
        return f"1 with a positive among the first {self.k}, else 0"
