"""All columns of a recipe: their names, the files they come from, ranks; no value sees the future.

pytest tests/features/test_feature_table.py
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import polars as pl
import pytest
from plain_features import RECIPE, TABLE, TABLES, THRESHOLD, at, write_attributes
from planted import N_ITEMS, history, write_split
from worlds import ROOT

from src.candidates.pool import Pool
from src.core.arrays import F32
from src.data import paths
from src.data.schemas import EVENTS
from src.data.split_data import SplitData
from src.datasets import DATASETS
from src.features.base import WEIGHTINGS, FeatureGroup
from src.features.item_statistics import ItemStatisticsFeature
from src.features.popularity import PopularityFeature
from src.features.rank_kernel import rank_columns
from src.features.table import Buffer, FeatureTable

COUNTED = ("sessions", "sessions_clicks", "sessions_carts", "sessions_orders", "weight_position",
           "weight_type", "weight_day", "weight_time", "weight_recsys")  # fmt: skip
RANKED = [
    *(f"{table}_{w}_sum" for table in THRESHOLD for w in WEIGHTINGS),
    "net_clicks", "net_carts", "net_orders", "popular_clicks_1h", "popular_clicks_168h",
    "popular_carts_24h", "popular_orders_all", "popular_same_device_24h",
    *(f"item_{name}_{span}" for span in ("all", "7d") for name in COUNTED),
]  # fmt: skip
ROWS = range(len(RECIPE.features))
NAMES = {
    "PoolFeature": "rrf_score pool_rank rank_own rank_shared score_own score_shared",
    "SessionFeature": "session_events session_items session_seconds session_last_gap session_hour"
    " session_weekday session_visits session_last_type session_mean_gap session_again"
    " session_visit_events session_visit_seconds session_clicks session_carts session_orders"
    " session_since_clicks session_since_carts session_since_orders",
    "SessionItemFeature": "session_item_count session_item_back session_item_seconds"
    " session_item_last_type session_item_first_seconds session_item_clicks session_item_carts"
    " session_item_orders session_item_since_clicks session_item_since_carts"
    " session_item_since_orders session_item_weight_equal session_item_weight_position"
    " session_item_weight_type session_item_weight_day session_item_weight_time"
    " session_item_weight_recsys",
    "MatrixFeature": "near_equal_sum near_equal_mean near_equal_max near_position_sum"
    " near_position_mean near_position_max near_type_sum near_type_mean near_type_max near_day_sum"
    " near_day_mean near_day_max near_time_sum near_time_mean near_time_max near_recsys_sum"
    " near_recsys_mean near_recsys_max near_latest_0 near_latest_1 near_latest_2 near_latest_3"
    " near_latest_4 near_n_above",
    "ItemAgeFeature": "seen_first seen_latest",
    "ItemAttributeFeature": "words_value words_age words_last words_last_age words_minus_last"
    " words_minus_mean words_same_last words_share",
    "ContextFeature": "context_device",
    "ItemStatisticsFeature": "item_events_clicks_all item_events_carts_all item_events_orders_all"
    " item_sessions_all item_sessions_clicks_all item_sessions_carts_all item_sessions_orders_all"
    " item_weight_position_all item_weight_type_all item_weight_day_all item_weight_time_all"
    " item_weight_recsys_all item_share_carts_all item_share_orders_all item_clicks_to_clicks_all"
    " item_clicks_to_carts_all item_clicks_to_orders_all item_carts_to_clicks_all"
    " item_carts_to_carts_all item_carts_to_orders_all item_orders_to_clicks_all"
    " item_orders_to_carts_all item_orders_to_orders_all item_place_all item_length_all"
    " item_exit_rate_all item_log_gap_all item_return_rate_all",
}
"""Of the first row of a kind, in order: a change of the order is a change of the training table."""


def row_of(kind: str) -> FeatureGroup:
    return next(row for row in RECIPE.features if type(row).__name__ == kind)


@pytest.mark.parametrize("kind", NAMES)
def test_names_and_their_order(kind: str) -> None:
    assert row_of(kind).names(RECIPE) == NAMES[kind].split()


def test_columns_stand_in_the_order_of_the_rows() -> None:
    names = [name for row in RECIPE.features for name in row.names(RECIPE)]
    assert TABLE.names == [*names, *(f"{name}_rank" for name in RANKED)]
    groups = TABLE.groups
    assert list(groups)[:3] == ["PoolFeature", "SessionFeature", "SessionItemFeature"]
    assert sorted(name for group in groups.values() for name in group) == sorted(TABLE.names)
    assert groups["TwoTowerFeature"] == [
        *(f"net_{name}" for name in RECIPE.objective_names),
        *(f"net_{name}_rank" for name in RECIPE.objective_names),
    ]


def test_the_docs_name_all_kinds_and_count_the_columns() -> None:
    text = (ROOT / "docs" / "features.md").read_text()
    otto, news = (FeatureTable(DATASETS[name].recipe).names for name in ("otto", "tianchi"))
    assert f"OTTO has {len(otto)} columns, that of the news {len(news)}" in text
    for kind, names in FeatureTable(DATASETS["otto"].recipe).groups.items():
        (count,) = re.findall(rf"\| `{kind}` \| (\d+)(?: × (\d+))? \|", text)
        assert len(names) == int(count[0]) * int(count[1] or 1), kind
    sources = [file.read_text() for file in (ROOT / "src" / "features").glob("*.py")]
    kinds = {name for code in sources for name in re.findall(r"^class (\w+Feature)\(", code, re.M)}
    shown = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert kinds - shown == {"ItemItemFeature", "KeyedLogFeature"}, "base classes"


def test_names_are_unique() -> None:
    for recipe in (RECIPE, *(dataset.recipe for dataset in DATASETS.values())):
        names = FeatureTable(recipe).names
        assert len(set(names)) == len(names)
    twice = replace(TABLES, features=(PopularityFeature(0, (3600,)),) * 2)
    with pytest.raises(ValueError, match=r"two rows make the features \['popular_clicks_1h'\]"):
        FeatureTable(twice)


def test_only_wanted_columns_are_computed(data: SplitData, pool: Pool, X: F32) -> None:
    assert not TABLE.compute(data, pool, []).any()
    for seed in range(3):
        some = np.random.default_rng(seed).permutation(len(TABLE.names))[:9]
        few = TABLE.compute(data, pool, [TABLE.names[column] for column in some])
        assert few[:, some].tobytes() == X[:, some].tobytes()
    ranked = TABLE.ranks[TABLE.ranks.size // 2]
    few = TABLE.compute(data, pool, [TABLE.names[ranked]])
    assert few[:, ranked].any() and not few[:, TABLE.ranks[TABLE.ranks != ranked]].any()


@pytest.mark.parametrize("number", ROWS)
def test_inputs_are_all_files_that_are_read(
    data: SplitData, pool: Pool, tmp_path: Path, number: int
) -> None:
    """With no other vectors and neighbours in the folder, the columns are the same."""
    row, run = RECIPE.features[number], data.run
    inputs = row.inputs(run, "valid")
    for name in ("items.parquet", "splits.json", "valid/events.parquet", "valid/sessions.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(run.output / name, tmp_path / name)
    for file in inputs:
        copy = tmp_path / file.relative_to(run.output)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(file, copy)
    other = SplitData(replace(run, output=tmp_path), "valid")
    table = FeatureTable(replace(RECIPE, features=(row,)))
    assert table.compute(other, pool).tobytes() == table.compute(data, pool).tobytes()


def test_inputs_by_name(data: SplitData) -> None:
    folder = data.run.output
    inputs = {
        getattr(row, "table", type(row).__name__):
        [file.relative_to(folder).as_posix() for file in row.inputs(data.run, "valid")]
        for row in RECIPE.features
    }  # fmt: skip
    assert inputs["near"] == ["valid/matrices/near.parquet"]
    assert inputs["vec"] == ["valid/embeddings/vec.npy"]
    assert inputs["pair"] == ["valid/embeddings/pair.npy", "valid/embeddings/pair.sources.npy"]
    assert inputs["TwoTowerFeature"] == [
        "valid/embeddings/net.npy", "valid/embeddings/net.queries.npy",
    ]  # fmt: skip
    assert inputs["ItemAttributeFeature"] == ["items.parquet"]


def test_memory_of_what_is_held(data: SplitData) -> None:
    folder = paths.item_vectors(data.run, "valid", "vec").parent
    memory = {getattr(row, "table", type(row).__name__): row.memory(data.run, "valid")
              for row in RECIPE.features}  # fmt: skip
    rows = pl.read_parquet(paths.neighbours(data.run, "valid", "near")).height
    assert memory["near"] == (8 * N_ITEMS, 8 * rows)
    size = (folder / "vec.npy").stat().st_size
    assert memory["vec"] == (size, 0) and memory["pair"] == (2 * size, 0)
    assert memory["TwoTowerFeature"] == (size, 0)
    assert memory["ItemStatisticsFeature"] == (12 * 28 * N_ITEMS, 0)
    assert memory["SessionFeature"] == (0, 0)
    n_events = pl.read_parquet(paths.events(data.run, "valid")).height
    times = 16 * 3 * N_ITEMS + 8 * n_events  # of items and types, of three rows of popularity
    assert memory["PopularityFeature"] == (times / 3, 0)
    times = 16 * 5 * N_ITEMS + 8 * n_events  # of items and devices
    assert memory["ContextPopularityFeature"] == (times, 0)


def test_ranks_within_the_query(pool: Pool, X: F32) -> None:
    for name in RANKED:
        queries = np.split(X[:, at(name)], pool.offsets[1:-1])
        wanted = [(values > v).sum() for values in queries for v in values]  # ties share the best
        assert X[:, at(f"{name}_rank")].tolist() == wanted


def test_missing_values_rank_last() -> None:
    X = np.zeros((7, 2), np.float32)
    X[:, 0] = [-3, -1, np.nan, -2, 0, 5, np.nan]
    rank_columns(np.array([0, 5, 7]), np.array([0]), np.array([1]), X, 2)
    assert X[:, 1].tolist() == [3, 1, 4, 2, 0, 0, 1]


def test_a_buffer_is_used_again_and_changes_no_byte(data: SplitData, pool: Pool, X: F32) -> None:
    buffer = Buffer()
    for first, end in ((0, 2), (2, pool.n_queries), (0, 1), (0, pool.n_queries)):
        rows = slice(*pool.offsets[[first, end]])
        found = TABLE.compute(data, pool.batch(first, end), buffer=buffer)
        assert found.tobytes() == X[rows].tobytes()
        assert found.base is buffer.cells
    held = buffer.cells
    TABLE.compute(data, pool.batch(0, 1), ["near_equal_sum"], buffer)
    assert buffer.cells is held and TABLE.compute(data, pool).base is not held


def test_batches_and_threads_change_no_byte(data: SplitData, pool: Pool, X: F32) -> None:
    assert X.shape == (pool.item.size, len(TABLE.names)) and X.dtype == np.float32
    parts = [TABLE.compute(data, pool.batch(a, b)) for a, b in pairwise((0, 7, 8, 40))]
    assert np.concatenate(parts).tobytes() == X.tobytes()
    numba.set_num_threads(1)
    alone = TABLE.compute(data, pool)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert alone.tobytes() == X.tobytes()


def test_no_column_sees_the_future(
    monkeypatch: pytest.MonkeyPatch, data: SplitData, pool: Pool, X: F32, tmp_path: Path
) -> None:
    # What happens elsewhere at or after a query's last event changes none of its columns. Matrices,
    # vectors and item statistics stay as they are on purpose: they are transductive, that is, made
    # from the visible prefixes of all sessions of the split, which the competition allows.
    events = pl.read_parquet(paths.events(data.run, "valid")).select(EVENTS.names())
    query = data.first_query + 17
    now = history(data, query)[-1][1]
    later = (pl.col("ts") >= now) & (pl.col("session") != query)
    moved = events.with_columns(
        ts=pl.col("ts") + 5000 * later, item=(pl.col("item") + 7 * later) % N_ITEMS
    ).cast(dict(EVENTS))
    crowd = [(0, y, now, type_) for y in range(N_ITEMS) for type_ in range(3)]
    both = moved.vstack(pl.DataFrame(crowd, EVENTS, orient="row"))
    both = both.sort("session", "ts", maintain_order=True)
    assert events.filter(later).height > 100
    changed = write_split(tmp_path, both, data.n_queries, recipe=RECIPE)
    write_attributes(changed)
    for folder in ("matrices", "embeddings"):
        shutil.copytree(data.run.output / "valid" / folder, tmp_path / "valid" / folder)
    statistics = ItemStatisticsFeature.statistics
    monkeypatch.setattr(
        ItemStatisticsFeature, "statistics", lambda row, b: statistics(row, replace(b, data=data))
    )
    again = TABLE.compute(changed, pool.batch(17, 18))
    assert again.tobytes() == X[pool.session == query].tobytes()
    assert TABLE.compute(changed, pool).tobytes() != X.tobytes()
