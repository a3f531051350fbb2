"""Columns of given candidates, against plain loops and by hand.

pytest tests/features/test_given_features.py
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from given import COLUMNS, GIVEN_RECIPE, Row, given_split
from planted import BARE

from src.candidates.pool import Pool, given_pool
from src.candidates.pool_kernel import RRF_K
from src.core.arrays import F32
from src.data import paths
from src.data.shards import Shard
from src.data.split_data import SplitData
from src.features.given import FORMS, GivenFeature, GivenFusionFeature, pair_numbers
from src.features.table import FeatureTable

RECIPE = replace(GIVEN_RECIPE, features=(GivenFeature(FORMS), GivenFusionFeature()))
TABLE = FeatureTable(RECIPE)
N = 7


def random_lists(seed: int = 1) -> list[list[Row]]:
    """Lists of 1 to 8 items with ties and missing values; one column of a query has no value."""
    rng, lists = np.random.default_rng(seed), []
    for query in range(N):
        items = rng.permutation(9)[: rng.integers(1, 9)]
        values = [[None if rng.random() < 0.3 else float(rng.integers(1, 5)) for _ in range(2)]
                  for _ in items]  # fmt: skip
        rows = zip(items.tolist(), values, strict=True)
        lists.append([(item, 0.0, None if query == 3 else a, b) for item, (a, b) in rows])
    return lists


@pytest.fixture
def data(tmp_path: Path) -> SplitData:
    return given_split(tmp_path, random_lists(), recipe=RECIPE)


def whole_pool(data: SplitData) -> Pool:
    return given_pool(data, Shard(0, 0, N))


def columns(data: SplitData, pool: Pool) -> dict[str, F32]:
    return dict(zip(TABLE.names, TABLE.compute(data, pool).T, strict=True))


def test_names() -> None:
    of_forms = ["a", "b", "a_rank", "b_rank", "a_zscore", "b_zscore", "a_reciprocal",
                "b_reciprocal"]  # fmt: skip
    assert TABLE.names == [*of_forms, "given_n_lists", "given_rrf", "given_borda"]


def test_the_pool_is_exactly_the_given_rows(data: SplitData) -> None:
    pool, wanted = whole_pool(data), []
    for query, rows in enumerate(random_lists()):
        wanted += sorted((query, item) for item, *_ in rows)
    assert list(zip(pool.session.tolist(), pool.item.tolist(), strict=True)) == wanted
    assert not pool.rrf_score.any() and pool.ranks.shape == (len(wanted), 0)


def test_forms_against_a_plain_loop(data: SplitData) -> None:
    pool = whole_pool(data)
    found = columns(data, pool)
    by_query = [sorted(rows) for rows in random_lists()]
    for c, name in enumerate(COLUMNS):
        for query, (first, end) in enumerate(zip(pool.offsets, pool.offsets[1:], strict=False)):
            values = [row[2 + c] for row in by_query[query]]
            known = [v for v in values if v is not None]
            mean = sum(known) / max(len(known), 1)
            deviation = math.sqrt(sum((v - mean) ** 2 for v in known) / max(len(known), 1))
            for r, v in enumerate(values, first):
                got = {form: float(found[name if form == "value" else f"{name}_{form}"][r])
                       for form in FORMS}  # fmt: skip
                if v is None:
                    assert math.isnan(got.pop("value"))
                    assert got == {"rank": 1, "zscore": 0, "reciprocal": 0}
                    continue
                z = (v - mean) / deviation if deviation else 0
                assert got["value"] == v and got["zscore"] == pytest.approx(z, abs=1e-6)
                assert got["rank"] == pytest.approx(sum(k < v for k in known) / (end - first))
                assert got["reciprocal"] == pytest.approx(1 / (RRF_K + v))


def test_fusion_by_hand(tmp_path: Path) -> None:
    lists: list[list[Row]] = [[(0, 0, 1, None), (1, 0, 2, 1), (2, 0, None, None), (3, 0, 3, 2)]]
    data = given_split(tmp_path, lists, recipe=RECIPE)
    found = columns(data, given_pool(data, Shard(0, 0, 1)))
    assert found["given_n_lists"].tolist() == [1, 2, 0, 2]
    rrf = [1 / 11, 1 / 12 + 1 / 11, 0, 1 / 13 + 1 / 12]
    assert found["given_rrf"].tolist() == pytest.approx(rrf)
    borda = [(1 + 0) / 2, (3 / 4 + 1) / 2, 0, (2 / 4 + 3 / 4) / 2]
    assert found["given_borda"].tolist() == pytest.approx(borda)


def test_batches_and_dropped_candidates_keep_their_values(data: SplitData) -> None:
    """A pool of some queries, or of some candidates, has the rows of the file that belong to it."""
    pool = whole_pool(data)
    value = columns(data, pool)["b"]
    for a, b in ((0, 2), (2, 3), (3, 7)):
        part = columns(data, pool.batch(a, b))["b"]
        rows = slice(pool.offsets[a], pool.offsets[b])
        np.testing.assert_array_equal(part, value[rows])
    mask = np.arange(pool.item.size) % 3 == 1
    np.testing.assert_array_equal(columns(data, pool.keep_rows(mask))["b"], value[mask])


def test_rows_are_read_by_query(data: SplitData, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of two queries does not read the rows of the other five."""
    pool, heights = whole_pool(data), []
    collect = pl.LazyFrame.collect

    def spy(frame: pl.LazyFrame, *args: object, **more: object) -> pl.DataFrame:
        table = collect(frame, *args, **more)  # type: ignore[call-overload]
        heights.append(table.height)
        return table

    monkeypatch.setattr(pl.LazyFrame, "collect", spy)
    columns(data, pool.batch(2, 4))
    assert set(heights) == {int(pool.offsets[4] - pool.offsets[2])}


def test_what_the_columns_are_made_from(data: SplitData) -> None:
    for row in RECIPE.features:
        assert row.inputs(data.run, "valid") == [paths.given(data.run, "valid")]
        assert row.causal() == row


def test_rows_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\['top'\] not in \('value', 'rank'"):
        GivenFeature(("top",))
    with pytest.raises(ValueError, match="candidates are not given"):
        replace(BARE, features=(GivenFeature(),))


def test_pairs_are_in_the_order_of_session_and_item() -> None:
    """An item that no split has, -1, stands first in its own list."""
    session = np.repeat(np.arange(4, dtype=np.int32), 3)
    item = np.array([-1, 0, 7, -1, 3, 2**31 - 1, 5, 6, 7, -1, 1, 2], np.int32)
    numbers = pair_numbers(session, item)
    assert (np.diff(numbers) > 0).all()
