"""Recall of the first k items, as the organisers of OTTO define it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import F64
from src.metrics.base import Metric


@dataclass(frozen=True)
class Recall(Metric):
    """Value: hits among the first k items. Ideal: min(k, positives)."""

    name = "recall"
    first_hit_only = False

    k: int = 20

    def gains(self) -> F64:
        """Return 1 for every rank."""
        return np.ones(self.k)

    @property
    def cap(self) -> int:
        return self.k
