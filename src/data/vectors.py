"""Load the vectors of an embedding for a split, memory-mapped from .npy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from src.core.arrays import F32
from src.data import paths
from src.data.split_data import SplitData


def load(path: Path) -> F32:
    """Map an array from disk into memory."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def item_vectors(data: SplitData, name: str) -> F32:
    """Load the unit vectors of all items: float32 (items, dim)."""

    def make() -> F32:
        return load(paths.item_vectors(data.run, data.split, name))

    return data.cached(("item vectors", name), make)


def source_vectors(data: SplitData, name: str) -> F32:
    """Load the unit vectors of items as the first of a pair: float32 (items, dim).

    They are the item vectors, unless the embedding distinguishes the two items of a pair.
    """

    def make() -> F32:
        path = paths.source_vectors(data.run, data.split, name)
        return load(path) if path.exists() else item_vectors(data, name)

    return data.cached(("source vectors", name), make)


def query_vectors(data: SplitData, name: str, first: int, end: int) -> F32:
    """Load the unit vectors of sessions first : end: float32 (objectives, end - first, dim).

    The vector of an empty session is 0.
    """

    def make() -> F32:
        return load(paths.query_vectors(data.run, data.split, name))

    vectors = data.cached(("query vectors", name), make)
    return vectors[:, first - data.first_query : end - data.first_query]
