"""Base class of maps from the vectors of one embedding to those of another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from src.core.arrays import F32

Apply = Callable[[F32], F32]
"""Maps vectors (n, dim of the first embedding) to float32 (n, dim of the second)."""


@dataclass(frozen=True)
class VectorMap(ABC):
    """Learns from items that have both vectors; a row of an embedding holds it as a field."""

    @abstractmethod
    def fit(self, sources: F32, targets: F32) -> Apply:
        """Learn to map sources (n, dim) to targets (n, dim), unit vectors of the same n items."""
