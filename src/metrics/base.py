"""What a metric is: two numbers per query, the value of its list and the ideal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64


@dataclass(frozen=True)
class Metric(ABC):
    """Score lists of k items; the score of many queries is sum of values / sum of ideals."""

    name: ClassVar[str]
    first_hit_only: ClassVar[bool]  # a list is worth its best hit; else the sum of all hits

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"{self.name}: k is at least 1")

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"

    @abstractmethod
    def gains(self) -> F64:
        """What a hit is worth by its rank: (k,)."""

    @property
    @abstractmethod
    def cap(self) -> int:
        """How many positives of a query can count at most."""

    def ideal(self, positives: NDArray) -> F64:
        """The best possible value of queries with so many positives."""
        return np.minimum(positives, self.cap).astype(np.float64)

    def values(self, rank: NDArray, offsets: NDArray) -> F64:
        """The value of each query from the ranks of its positives (-1: not in the list).

        offsets: where each query begins among the positives; every query has one at least.
        """
        listed = (rank >= 0) & (rank < self.k)
        gain = np.where(listed, self.gains()[np.where(listed, rank, 0)], 0.0)
        reduce = np.maximum if self.first_hit_only else np.add
        return reduce.reduceat(gain, offsets)
