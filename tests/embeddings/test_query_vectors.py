"""Candidates and features by query vectors, against plain products.

pytest tests/embeddings/test_query_vectors.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from planted import BARE, run_in, write_split

from src.candidates.pool import Pool
from src.candidates.pool_kernel import ABSENT
from src.candidates.two_tower import TwoTowerRetriever
from src.data import paths
from src.data.schemas import EVENTS
from src.data.split_data import SplitData
from src.embeddings.base import save
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.table import FeatureTable
from src.features.two_tower import TwoTowerFeature

RECIPE = replace(BARE, embeddings=(TwoTowerEmbedding("net"), Word2VecEmbedding("w2v")))


class Planted(NamedTuple):
    """A split, and random vectors of its items and of its queries."""

    data: SplitData
    items: np.ndarray
    queries: np.ndarray


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    """20 sessions, the last 6 of them queries; item 8 never occurs; query 18 has no vector."""
    rng = np.random.default_rng(5)
    rows = [(s, int(rng.integers(8)), 100 * s, 0) for s in range(20) for _ in range(2)]
    events = pl.DataFrame(rows, schema=EVENTS, orient="row")
    data = write_split(tmp_path, events, 6, n_items=9, recipe=RECIPE)
    items, queries = (rng.normal(size=s).astype(np.float32) for s in ((9, 5), (3, 6, 5)))
    queries[:, 18 - 14] = 0.0
    run = run_in(tmp_path, RECIPE)
    paths.item_vectors(run, "valid", "net").parent.mkdir()
    save(items, paths.item_vectors(run, "valid", "net"))
    save(queries, paths.query_vectors(run, "valid", "net"))
    return Planted(data, items, queries)


def nearest(query: np.ndarray, items: np.ndarray, top: int) -> list[int]:
    return sorted(range(len(items)), key=lambda i: (-np.float32(query @ items[i]), i))[:top]


@pytest.mark.parametrize(("max_items", "top"), [(100, 4), (5, 5), (5, 30)])
def test_lists(planted: Planted, max_items: int, top: int) -> None:
    data, items, queries = planted
    count = np.bincount(data.sessions.item, minlength=9)
    known = sorted(sorted(range(8), key=lambda i: (-count[i], i))[:max_items])
    row = TwoTowerRetriever("r", "net", objective=2, max_items=max_items, top=top)
    item, score = row.lists(data, 15, 19)
    near = [nearest(query, items[known], top) for query in queries[2, 1:4]]
    assert item[:3, : len(known)].tolist() == [[known[i] for i in row] for row in near]
    assert (item[:3, len(known) :] == -1).all() and item.dtype == np.int32
    wanted = [
        [q @ items[known[i]] for i in row] for q, row in zip(queries[2, 1:4], near, strict=True)
    ]
    np.testing.assert_allclose(score[:3, : len(known)], wanted, rtol=1e-5)
    assert (item[3] == -1).all() and not score[3].any(), "a query without a vector has no list"


def test_feature(planted: Planted) -> None:
    data, items, queries = planted
    recipe = replace(RECIPE, features=(TwoTowerFeature("net"),))
    offsets, item = np.array([0, 3, 3, 8]), np.array([1, 8, 3, 0, 1, 2, 3, 4], np.int32)
    none = np.full((8, 1), ABSENT, np.uint16), np.zeros((8, 1), np.float32)
    table = FeatureTable(recipe)
    X = table.compute(data, Pool(15, offsets, item, none[1][:, 0], *none))
    for o, name in enumerate(("net_clicks", "net_carts", "net_orders")):
        cosine = [queries[o, q - 14] @ items[y]
                  for q, y in zip([15] * 3 + [17] * 5, item, strict=True)]  # fmt: skip
        np.testing.assert_allclose(X[:, table.names.index(name)], cosine, rtol=1e-5)
        rank = [sum(v > cosine[i] for v in mine) for i, mine in
                enumerate([cosine[:3]] * 3 + [cosine[3:]] * 5)]  # fmt: skip
        assert X[:, table.names.index(f"{name}_rank")].tolist() == rank


@pytest.mark.parametrize(
    "change",
    [
        {"retrievers": (TwoTowerRetriever("r", "w2v", 0),)},
        {"retrievers": (TwoTowerRetriever("r", "net", 3),)},
        {"features": (TwoTowerFeature("w2v"),)},
        {"features": (TwoTowerFeature("other"),)},
    ],
)
def test_a_recipe_that_asks_for_what_is_not_there(change: dict) -> None:
    with pytest.raises(ValueError, match=r"no two-tower model|no objective"):
        replace(RECIPE, **change)
