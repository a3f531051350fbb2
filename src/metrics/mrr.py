"""Mean reciprocal rank of the first hit among the first k items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import F64
from src.metrics.base import Metric


@dataclass(frozen=True)
class MRR(Metric):
    """Value 1 / (1 + rank of the best hit), ranks from 0; 0 without a hit among the first k."""

    name = "mrr"
    first_hit_only = True

    k: int = 5

    def gains(self) -> F64:
        """Return the reciprocals of the ranks counted from 1."""
        return 1.0 / (1.0 + np.arange(self.k, dtype=np.float64))

    @property
    def cap(self) -> int:
        return 1
