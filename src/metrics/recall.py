"""Recall of the first k items, as OTTO's organisers define it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import F64
from src.metrics.base import Metric


@dataclass(frozen=True)
class Recall(Metric):
    """Hits among the first k items, of min(k, positives) possible ones; pooled over queries."""

    name = "recall"
    first_hit_only = False

    k: int = 20

    def gains(self) -> F64:
        """Every hit counts 1."""
        return np.ones(self.k)

    @property
    def cap(self) -> int:
        return self.k
