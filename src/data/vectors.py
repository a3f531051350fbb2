"""Vectors that an embedding has stored for a split, memory-mapped from .npy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from src.core.arrays import F32
from src.data import paths
from src.data.split_data import SplitData


def load(path: Path) -> F32:
    """Map an array from disk."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def item_vectors(data: SplitData, name: str) -> F32:
    """Unit vectors (items, dim) of an embedding."""
    return load(paths.item_vectors(data.run, data.split, name))


def source_vectors(data: SplitData, name: str) -> F32:
    """Unit vectors of items as the earlier one of a pair; mostly the item vectors themselves."""
    path = paths.source_vectors(data.run, data.split, name)
    return load(path) if path.exists() else item_vectors(data, name)


def query_vectors(data: SplitData, name: str, first: int, end: int) -> F32:
    """Unit vectors (objectives, end - first, dim) of sessions first : end; 0 without an event."""
    vectors = load(paths.query_vectors(data.run, data.split, name))
    return vectors[:, first - data.first_query : end - data.first_query]
