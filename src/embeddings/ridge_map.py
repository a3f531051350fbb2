"""Map vectors by a ridge regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from src.core.arrays import F32
from src.embeddings.vector_map import Apply, VectorMap


@dataclass(frozen=True)
class RidgeMap(VectorMap):
    """Weights W that minimise |T - S W|^2 + ridge v |W|^2, both sides centred.

    v is the mean variance of a number of S, times the number of items, so that `ridge` has no unit.
    """

    ridge: float = 1.0

    def __post_init__(self) -> None:
        if self.ridge <= 0:
            raise ValueError("RidgeMap: ridge is above 0")

    def fit(self, sources: F32, targets: F32) -> Apply:
        """Solve for W with one thread, as threads change the rounding."""
        mean, to = sources.mean(axis=0, dtype=np.float64), targets.mean(axis=0, dtype=np.float64)
        with threadpool_limits(1):
            centred = sources - mean
            gram = centred.T @ centred
            penalty = max(self.ridge * np.trace(gram) / len(gram), 1e-12)
            weights = np.linalg.solve(
                gram + penalty * np.eye(len(gram)), centred.T @ (targets - to)
            )

        def apply(vectors: F32) -> F32:
            with threadpool_limits(1):
                return ((vectors - mean) @ weights + to).astype(np.float32)

        return apply
