"""Batches of candidates: bounded in queries and in rows, the same rows in the same order.

pytest tests/rankers/test_batches.py
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from given import GIVEN_RECIPE, Row, given_split
from planted import BARE, planted_split

from src.candidates.history import HistoryRetriever
from src.candidates.pool import candidates_per_query, files_of_pool, pool_file, write_pool
from src.candidates.seeds import Seeds
from src.core.budget import Budget
from src.core.parquet import count_rows
from src.data import shards
from src.data.split_data import SplitData
from src.features.given import GivenFeature
from src.features.pool import PoolFeature
from src.features.table import FeatureTable
from src.rankers import batches
from src.rankers.train_table import build_train_table, count_positives, table_files

SIZES = (1, 5, 2, 9, 1, 1, 3)


@pytest.fixture
def data(tmp_path: Path) -> SplitData:
    """Given lists of these sizes, and their pool."""
    rows: list[list[Row]] = [[(i, 0.0, 1.0, None) for i in range(size)] for size in SIZES]
    data = given_split(tmp_path, rows)
    write_pool(data)
    return data


@pytest.mark.parametrize(
    ("queries", "rows", "wanted"),
    [
        (500, 75_000, [7]),
        (3, 75_000, [3, 3, 1]),
        (500, 8, [3, 1, 3]),  # a list of 9 is a batch of its own
        (500, 1, [1] * 7),
        (2, 6, [2, 1, 1, 2, 1]),
    ],
)
def test_batches_hold_so_many_queries_and_rows(
    data: SplitData, monkeypatch: pytest.MonkeyPatch, queries: int, rows: int, wanted: list[int]
) -> None:
    monkeypatch.setattr(batches, "QUERIES_PER_BATCH", queries)
    monkeypatch.setattr(batches, "ROWS_PER_BATCH", rows)
    (shard,) = shards.shards(data.run, "valid")
    found = list(batches.pools(data, shard))
    assert [pool.n_queries for pool in found] == wanted
    assert [pool.first for pool in found] == np.cumsum([0, *wanted[:-1]]).tolist()
    sizes = np.concatenate([np.diff(pool.offsets) for pool in found])
    assert tuple(sizes) == SIZES
    item = np.concatenate([pool.item for pool in found])
    assert item.tolist() == [i for size in SIZES for i in range(size)]


def test_the_largest_batch_of_given_lists_is_claimed(
    data: SplitData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "QUERIES_PER_BATCH", 3)
    claims = list[float]()
    monkeypatch.setattr(Budget, "claim", lambda self, name, memory, disk: claims.append(memory))
    run = replace(data.run, recipe=replace(data.run.recipe, features=(GivenFeature(),)))
    for rows in (75_000, 10):
        monkeypatch.setattr(batches, "ROWS_PER_BATCH", rows)
        batches.claim_batches(SplitData(run, "valid"), "step", 0)
    cells = 12 * len(FeatureTable(run.recipe).names)
    assert cells > 0 and claims[0] - claims[1] == (5 + 2 + 9 - 10) * cells


def test_shards_of_given_lists_are_small(data: SplitData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "GIVEN_QUERIES_PER_SHARD", 3)
    assert [(s.first, s.end) for s in shards.shards(data.run, "valid")] == [(0, 3), (3, 6), (6, 7)]
    assert write_pool(data) == {"built": 3, "cached": 0}
    files = [pool_file(data.run, "valid", shard) for shard in shards.shards(data.run, "valid")]
    assert [count_rows(file) for file in files] == [8, 11, 3]


def test_candidates_per_query(data: SplitData) -> None:
    assert candidates_per_query(data.run, "valid") == pytest.approx(22 / 7)
    other = replace(data.run, recipe=replace(BARE, pool_size=60))
    assert candidates_per_query(other, "valid") == 60


def test_given_candidates_are_not_retrieved_too() -> None:
    with pytest.raises(ValueError, match="candidates are given; leave out the retrievers"):
        replace(GIVEN_RECIPE, retrievers=(HistoryRetriever("own", Seeds()),))


def test_shards_of_lone_candidates_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each query has one candidate, shards and batches are bounded by rows alone."""
    monkeypatch.setattr(shards, "LONE_QUERIES_PER_SHARD", 5)
    monkeypatch.setattr(shards, "GIVEN_QUERIES_PER_SHARD", 2)
    monkeypatch.setattr(batches, "QUERIES_PER_BATCH", 2)
    data = given_split(tmp_path, [[(3, 0.0, 1.0, None)]] * 7)
    first, second = shards.shards(data.run, "valid")
    assert (first.end, second.end) == (5, 7)
    write_pool(data)
    assert [pool.n_queries for pool in batches.pools(data, first)] == [5]


def test_a_sampled_query_has_its_own_features(tmp_path: Path) -> None:
    """Features are computed for sampled queries alone, and each row keeps its own."""
    recipe = replace(GIVEN_RECIPE, features=(GivenFeature(),), max_train_rows=60, folds=1,
                     negatives_per_positive=inf)  # fmt: skip
    queries = [[(item, float(item == q % 9), 9.0 * q + item, None) for item in range(2 + q % 3)]
               for q in range(40)]  # fmt: skip
    data = given_split(tmp_path, queries, recipe=recipe)
    write_pool(data)
    count_positives(data.run)
    build_train_table(data.run, "valid")
    table = pl.read_parquet(table_files(data.run, "valid"))
    assert 20 < table.height < 100 < sum(map(len, queries))
    assert (table["a"] == 9 * table["session"] + table["item"]).all()


def test_the_lists_of_a_shard_are_claimed_and_are_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists hold 12 bytes a place beside a batch, and take 28 while they are read."""
    claimed = list[float]()
    monkeypatch.setattr(Budget, "claim", lambda _, __, memory, *___: claimed.append(memory))
    monkeypatch.setattr(batches, "QUERIES_PER_BATCH", 1)
    for top in (1, 2, 999, 1000):
        row = HistoryRetriever("own", Seeds(), top=top)
        data = planted_split(tmp_path, replace(BARE, retrievers=(row,), features=(PoolFeature(),)))
        batches.claim_batches(data, "features", 0.0)
    assert np.diff(claimed).tolist()[::2] == [12 * data.n_queries, 28 * data.n_queries]
    (shard,) = shards.shards(data.run, "valid")
    assert {*files_of_pool(data.run, "valid", shard)} < {
        *batches.batch_inputs(data.run, "valid", shard)
    }
