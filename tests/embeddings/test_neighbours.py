"""Neighbours of items by their vectors, against plain loops.

pytest tests/embeddings/test_neighbours.py
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from src.core import arrays, nearest
from src.embeddings import base
from src.embeddings import neighbours as near_items
from src.embeddings.neighbours import neighbours_by_cosine, neighbours_by_likelihood
from src.matrices.neighbours import Neighbours


def plain_neighbours(
    sources: np.ndarray, targets: np.ndarray, n: int, score: Callable[[int, float], float]
) -> dict[int, list[tuple[int, float]]]:
    """Pairs of item and score; `score` makes it from a target and its product."""
    known = [x for x in range(len(targets)) if targets[x].any()]
    near = {}
    for x in known:
        weight = {y: score(y, float(sources[x] @ targets[y])) for y in known if y != x}
        order = sorted(weight, key=lambda y: (-np.float32(weight[y]), y))
        near[x] = [(y, weight[y]) for y in order[:n]]
    return near


def as_lists(near: Neighbours) -> dict[int, list[tuple[int, float]]]:
    lists = defaultdict(list)
    for x, y, weight in near.to_frame().iter_rows():
        lists[x].append((y, weight))
    return dict(lists)


@pytest.mark.parametrize("n", [1, 4, 7, 100])
@pytest.mark.parametrize("block", [3, 1024])
def test_neighbours(monkeypatch: pytest.MonkeyPatch, n: int, block: int) -> None:
    monkeypatch.setattr(nearest, "ITEMS", block)
    monkeypatch.setattr(near_items, "ROWS_AT_A_TIME", block + 2)
    rng = np.random.default_rng(1)
    # halves: products are exact, and so full of ties, whatever the order of the sums
    sources, targets = (rng.integers(0, 2, (2, 30, 4)) - 0.5).astype(np.float32)
    targets[[0, 7, 29]] = 0.0
    for count in (np.ones(30, np.int64), rng.integers(1, 4, 30)):
        logs = np.log1p(count).astype(np.float32).tolist()
        prior = (near_items.POPULARITY_PRIOR * np.log(count)).tolist()
        found = as_lists(neighbours_by_cosine(targets, n, count, 99))
        plain = plain_neighbours(targets, targets, n, lambda y, dot, of=logs: dot * of[y])
        assert found == {x: [(y, max(w, 0.0)) for y, w in near] for x, near in plain.items()}
        found = as_lists(neighbours_by_likelihood(sources, targets, n, count, 99))
        plain = plain_neighbours(sources, targets, n, lambda y, dot, of=prior: dot + of[y])
        assert list(found) == list(plain)
        for x, near in plain.items():
            assert [y for y, _ in found[x]] == [y for y, _ in near]
            odds = [math.exp(w - near[0][1]) ** near_items.INVERSE_TEMPERATURE for _, w in near]
            np.testing.assert_allclose([w for _, w in found[x]], odds, rtol=1e-5)


def test_only_frequent_items_are_neighbours() -> None:
    vectors, count = np.ones((5, 2), np.float32), np.array([3, 9, 1, 5, 5])
    found = as_lists(neighbours_by_likelihood(vectors, vectors, 9, count, max_items=2))
    assert {x: [y for y, _ in near] for x, near in found.items()} == {
        0: [1, 3], 1: [3], 2: [1, 3], 3: [1], 4: [1, 3]
    }  # fmt: skip


def test_neighbours_of_one_or_no_item() -> None:
    vectors = np.zeros((3, 2), np.float32)
    count = np.ones(3, np.int64)
    for value in (0.0, 1.0):
        vectors[1] = value
        for near in (neighbours_by_cosine(vectors, 5, count, 99),
                     neighbours_by_likelihood(vectors, vectors, 5, count, 99)):  # fmt: skip
            assert near.offsets.tolist() == [0, 0, 0, 0] and near.weight.size == 0


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(base, "ROWS_AT_A_TIME", batch)
    monkeypatch.setattr(arrays, "COUNT_BATCH", batch)
    scaled = base.unit(np.array([[3, 4], [0, 0], [0, -2]], np.float32))
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0, 0], [0, -1]])
    item = np.array([4, 0, 4, 2, 4], np.int32)
    assert arrays.count_items(item, 6).tolist() == [1, 0, 1, 0, 3, 0]
    assert arrays.count_items(item[:0], 2).tolist() == [0, 0]
