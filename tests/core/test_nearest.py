"""Exact nearest neighbours by inner product, against a full sort.

pytest tests/core/test_nearest.py
"""

from __future__ import annotations

import numba
import numpy as np
import pytest

from src.core import arrays
from src.core import nearest as search


def plain_nearest(queries: np.ndarray, items: np.ndarray, top: int) -> list[list[int]]:
    return [
        sorted(range(len(items)), key=lambda i: (-np.float32(q @ items[i]), i))[:top]
        for q in queries
    ]


@pytest.mark.parametrize(("top", "blocks"), [(1, (3, 7)), (5, (300, 8)), (40, (2, 1000))])
def test_search(monkeypatch: pytest.MonkeyPatch, top: int, blocks: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    ties = (rng.integers(0, 3, (37, 4)) - 1.0).astype(np.float32)  # exact sums, full of ties
    queries, items = ties[:11], ties[5:]
    index, score = search.nearest(queries, items, top)
    assert index[:, : len(items)].tolist() == plain_nearest(queries, items, top)
    assert (index[:, len(items) :] == -1).all() and (score[:, len(items) :] == 0).all()
    vectors = rng.normal(size=(700, 19)).astype(np.float32)
    whole = search.nearest(vectors[:50], vectors, top)
    monkeypatch.setattr(search, "QUERIES", blocks[0])
    monkeypatch.setattr(search, "ITEMS", blocks[1])
    numba.set_num_threads(1)
    parts = search.nearest(vectors[:50], vectors, top)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    threads = search.nearest(vectors[:50], vectors, top)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(whole, threads, strict=True))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(whole, parts, strict=True))
    alone = [search.nearest(vectors[q : q + 1], vectors, top)[0][0].tolist() for q in range(50)]
    assert whole[0].tolist() == alone == plain_nearest(vectors[:50], vectors, top)


def test_most_frequent() -> None:
    assert arrays.most_frequent(np.array([2, 0, 5, 2, 5]), 3).tolist() == [0, 2, 4]
    assert arrays.most_frequent(np.array([2, 0, 5]), 9).tolist() == [0, 2]
