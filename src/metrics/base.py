"""Base class of metrics.

A metric gives two numbers per query: the value of its list, and the ideal, the highest value that a
list can have. The score of many queries is the sum of their values over the sum of their ideals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64


@dataclass(frozen=True)
class Metric(ABC):
    """Metric of lists of k items. A hit is an item of the list that is a positive of the query."""

    name: ClassVar[str]
    first_hit_only: ClassVar[bool]  # a list has the gain of its best hit; else the sum over hits

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"{self.name}: k is at least 1")

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"

    @abstractmethod
    def gains(self) -> F64:
        """Return the gain of a hit at each rank: float64 (k)."""

    @property
    @abstractmethod
    def cap(self) -> int:
        """The most positives of a query that can count."""

    def ideal(self, positives: NDArray) -> F64:
        """Return the ideal of queries from their numbers of positives: float64."""
        return np.minimum(positives, self.cap).astype(np.float64)

    def values(self, rank: NDArray, offsets: NDArray) -> F64:
        """Return the value of each query: float64 (queries).

        rank: of each positive in the list of its query, -1 if not there; sorted by query. offsets:
        first positive of each query; every query has one.
        """
        listed = (rank >= 0) & (rank < self.k)
        gain = np.where(listed, self.gains()[np.where(listed, rank, 0)], 0.0)
        reduce = np.maximum if self.first_hit_only else np.add
        return reduce.reduceat(gain, offsets)
