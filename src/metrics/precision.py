"""Precision of the first k items."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.base import MeanMetric, relevant


@dataclass(frozen=True)
class Precision(MeanMetric):
    """Hits among the first k items over k, also where a list is shorter."""

    name = "precision"

    k: int = 5

    def raw_values(self, listed: NDArray) -> F64:
        return relevant(listed, self.k).sum(axis=1) / float(self.k)

    @property
    def formula(self) -> str:
        return f"hits / {self.k}, also for a shorter list"
