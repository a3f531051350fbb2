"""Map a vector to the mean of what its nearest neighbours have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import F32
from src.core.nearest import nearest
from src.embeddings.vector_map import Apply, VectorMap


@dataclass(frozen=True)
class NearestMap(VectorMap):
    """The mean of the targets of the `k` items whose source vectors have the highest cosines."""

    k: int = 10

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError("NearestMap: k is at least 1")

    def fit(self, sources: F32, targets: F32) -> Apply:
        def apply(vectors: F32) -> F32:
            near, _ = nearest(vectors, sources, min(self.k, len(sources)))
            return targets[near].mean(axis=1, dtype=np.float64).astype(np.float32)

        return apply
