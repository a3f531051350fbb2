"""Whiten vectors: centre them, and scale their principal axes to one variance.

Su et al., "Whitening Sentence Representations for Better Semantics and Faster Retrieval", 2021,
arXiv:2103.15316.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from src.core.arrays import F32, F64

ALIKE = 1e-10  # largest variance, below which the vectors are all alike
FLAT = 1e-6  # variance of the last axis that is kept, of the largest one


class Whitened(NamedTuple):
    """What was learned: z = (vector - mean) @ axes."""

    mean: F64  # (dim of the vectors,)
    axes: F64  # (dim of the vectors, dim)

    def apply(self, vectors: F32) -> F32:
        """Whiten vectors: float32 (n, dim)."""
        with threadpool_limits(1):
            return ((vectors - self.mean) @ self.axes).astype(np.float32)


@dataclass(frozen=True)
class Whitening:
    """Keeps the first `dim` principal axes, each with variance 1.

    shrinkage: share by which variances move to their mean before the axes are scaled, which
    dampens the smallest ones where there are few vectors. 0: the covariance of the vectors that
    were fitted becomes the identity.
    """

    dim: int = 32
    shrinkage: float = 0.05

    def __post_init__(self) -> None:
        if self.dim < 1 or not 0 <= self.shrinkage < 1:
            raise ValueError("Whitening: dim is at least 1, shrinkage from 0 to below 1")

    def fit(self, vectors: F32) -> Whitened:
        """Learn mean and axes from vectors (n, dim), those of different texts.

        The largest number of each axis is positive. Raises ValueError where the vectors are all
        alike, or lie in fewer dimensions.
        """
        if len(vectors) < 2:
            raise ValueError(f"{len(vectors)} different texts: too few to whiten; leave it out")
        mean = vectors.mean(axis=0, dtype=np.float64)
        centred = vectors - mean
        with threadpool_limits(1):
            variance, axes = np.linalg.eigh(centred.T @ centred / (len(vectors) - 1))
        variance, axes = np.maximum(variance[::-1], 0), axes[:, ::-1]
        if variance[0] < ALIKE:
            raise ValueError("the texts are all alike to this encoder; leave the row out")
        wide = int((variance >= FLAT * variance[0]).sum())
        if wide < self.dim:
            raise ValueError(f"whitening: the vectors have {wide} dimensions; lower dim to {wide}")
        scale = (1 - self.shrinkage) * variance + self.shrinkage * variance.mean()
        axes = axes[:, : self.dim] / np.sqrt(scale[: self.dim])
        largest = axes[np.abs(axes).argmax(axis=0), np.arange(self.dim)]
        return Whitened(mean, axes * np.sign(largest))
