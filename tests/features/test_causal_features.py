"""--causal: nothing later than the query moves its candidates or their features.

pytest tests/features/test_causal_features.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from plain_features import candidate_pool
from planted import DAY, N_ITEMS, QUERIES, START, history, planted_events, write_split

from src.data.recipe import Recipe
from src.data.schemas import EVENTS
from src.data.split_data import SplitData
from src.datasets import DATASETS
from src.datasets.tianchi.clicklog import CONTEXT
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.features.item_statistics import ItemStatisticsFeature
from src.features.table import FeatureTable
from src.matrices.build import build_group, groups

WINDOW = START + 20 * DAY
COLUMNS = ("created", "words", "category", "artist_code")


def split_of(folder: Path, events: pl.DataFrame, recipe: Recipe) -> SplitData:
    """With everything that a recipe may look at, made from the events alone."""
    context = {c: (pl.col("ts") // 60 % 3).cast(pl.Int32) for c in CONTEXT.values()}
    known: dict[str, object] = {c: np.arange(N_ITEMS) * 7 % 50 for c in COLUMNS}
    known["title"] = [f"thing {n % 9} of {n % 5}" for n in range(N_ITEMS)]
    events = events.with_columns(**context)
    return built(write_split(folder, events, QUERIES, known=known, recipe=recipe))


def built(data: SplitData) -> SplitData:
    """The same split, with the matrices of its recipe."""
    for group in groups(data):
        build_group(data, group)
    return data


def pool_and_features(data: SplitData, query: int) -> tuple[bytes, bytes]:
    """The candidates of one query, and their features."""
    pool = candidate_pool(data, query, query + 1, 50)
    return pool.item.tobytes(), FeatureTable(data.run.recipe).compute(data, pool).tobytes()


RETRIEVED = sorted(name for name, dataset in DATASETS.items() if not dataset.recipe.given)


def test_given_candidates_and_their_features_are_causal_as_they_are() -> None:
    given = [dataset.recipe for dataset in DATASETS.values() if dataset.recipe.given]
    assert given and all(recipe.causal() == recipe for recipe in given)


@pytest.mark.parametrize("name", RETRIEVED)
def test_the_future_moves_nothing(tmp_path: Path, name: str) -> None:
    recipe = DATASETS[name].recipe
    if len(recipe.types) < 3:  # the planted events have three types
        types = (*recipe.types, "others", "rest")[:3]
        recipe = replace(recipe, types=types, type_weight=(*recipe.type_weight, 1.0, 1.0)[:3])
    recipe = replace(recipe, by_window=False).causal()  # without what is made ahead
    events = planted_events()
    data = split_of(tmp_path / "a", events, recipe)
    query = data.first_query + 17
    now = history(data, query)[-1][1]
    later = (pl.col("ts") >= now) & (pl.col("session") != query)
    moved = events.with_columns(item=(pl.col("item") + 7 * later) % N_ITEMS).cast(EVENTS)
    assert events.filter(later).height > 100
    before = pool_and_features(data, query)
    assert len(before[0]) > 20
    assert pool_and_features(split_of(tmp_path / "b", moved, recipe), query) == before
    past = events.with_columns(item=(pl.col("item") + 7 * ~later) % N_ITEMS).cast(EVENTS)
    assert pool_and_features(split_of(tmp_path / "c", past, recipe), query) != before


SMALL: dict[type, dict[str, int]] = {
    Word2VecEmbedding: {"dim": 8, "epochs": 1, "min_count": 1},
    FactorizationEmbedding: {"dim": 8, "epochs": 1},
    TwoTowerEmbedding: {"dim": 8, "epochs": 1},
}


def as_deployed(folder: Path, events: pl.DataFrame, recipe: Recipe, queries: int) -> SplitData:
    """A split whose window begins at WINDOW, with the matrices and vectors of `--causal`."""
    data = built(write_split(folder, events, queries, recipe=recipe, since=WINDOW))
    for row in recipe.embeddings:
        row.build(data.run, "valid")
    return data


def test_what_is_made_ahead_sees_the_time_before_the_window_alone(tmp_path: Path) -> None:
    """Moved, cut or new: no event later than a query moves a number of it; earlier ones do."""
    recipe = DATASETS["otto"].recipe.causal()
    assert recipe.as_deployed and len(recipe.matrices) == len(DATASETS["otto"].recipe.matrices)
    small = tuple(replace(row, **SMALL.get(type(row), {})) for row in recipe.embeddings)
    recipe = replace(recipe, embeddings=small)
    first_query = 260
    is_query, in_window = pl.col("session") >= first_query, pl.col("ts") >= WINDOW
    planted = planted_events().with_columns(ts=pl.col("ts") + is_query * (20 * DAY)).cast(EVENTS)
    events = planted.filter(is_query | ~in_window)
    data = as_deployed(tmp_path / "a", events, recipe, QUERIES)
    statistics = next(row for row in recipe.features if isinstance(row, ItemStatisticsFeature))
    more = (statistics.memory(data.run, name).held for name in ("valid", "valid_history"))
    assert next(more) - next(more) == 17 * data.fitted.sessions.item.size, "kept beside its own"
    queries = sorted(range(first_query, 300), key=lambda q: history(data, q)[-1][1])
    query = queries[1]  # an early one: much is later
    now = history(data, query)[-1][1]
    later = (pl.col("ts") >= now) & (pl.col("session") != query)
    before = pool_and_features(data, query)
    assert len(before[0]) == 4 * 50 and np.frombuffer(before[1], np.float32).any()
    new = pl.DataFrame([(300, 3, now, 0), (300, 5, now + 60, 1)], schema=EVENTS, orient="row")
    begins = pl.col("ts") == pl.col("ts").min().over("session")
    seventh = pl.int_range(pl.len()) % 7 == 0
    for name, changed in {
        "moved": events.with_columns(item=(pl.col("item") + 7 * later) % N_ITEMS).cast(EVENTS),
        "cut": events.filter(~(later & seventh) | begins),
        "new": pl.concat([events, new]),
    }.items():
        assert not changed.equals(events)
        n = QUERIES + (name == "new")
        assert pool_and_features(as_deployed(tmp_path / name, changed, recipe, n), query) == before
    past = events.with_columns(item=(pl.col("item") + 7 * ~(is_query | seventh)) % N_ITEMS)
    moved = as_deployed(tmp_path / "past", past.cast(EVENTS), recipe, QUERIES)
    assert pool_and_features(moved, query) != before
    in_queries = events.with_columns(item=(pl.col("item") + 7 * is_query) % N_ITEMS).cast(EVENTS)
    moved = write_split(tmp_path / "queries", in_queries, QUERIES, recipe=recipe, since=WINDOW)
    popular = next(row for row in recipe.retrievers if row.name == "popular")
    lists = [popular.lists(each, first_query, 300)[0].tolist() for each in (data, moved)]
    assert lists[0] != lists[1], "what is popular holds the window up to the query"


def test_what_is_rebuilt_sees_the_days_before_the_query_alone(tmp_path: Path) -> None:
    """Without a window: matrices of the latest day; no later event moves a number."""
    news = DATASETS["tianchi"].recipe
    names = ("end_next", "visit", "itemcf")
    recipe = replace(
        news, types=("clicks", "ends", "others"),
        matrices=tuple(replace(row, rebuild="1d") for row in news.matrices if row.name in names),
        retrievers=tuple(row for row in news.retrievers if row.name in names), baselines=(),
        features=tuple(row for row in news.features if getattr(row, "table", "") in names),
    ).causal()  # fmt: skip
    assert [len(rows) for rows in (recipe.matrices, recipe.retrievers, recipe.features)] == [3] * 3
    events, few = planted_events(), 6  # queries
    data = built(write_split(tmp_path / "a", events, few, recipe=recipe))
    queries = range(data.first_query, data.n_sessions)
    query = sorted(queries, key=lambda q: history(data, q)[-1][1])[1]  # an early one
    now = history(data, query)[-1][1]
    later, other = pl.col("ts") >= now // DAY * DAY, pl.col("session") != query
    before = pool_and_features(data, query)
    assert len(before[0]) > 20 and np.frombuffer(before[1], np.float32).any()
    new = pl.DataFrame([(300, 3, now, 0), (300, 5, now + 60, 1)], schema=EVENTS, orient="row")
    begins = pl.col("ts") == pl.col("ts").min().over("session")
    seventh = pl.int_range(pl.len()) % 7 == 0
    for name, changed in {
        "moved": events.with_columns(item=(pl.col("item") + 7 * (later & other)) % N_ITEMS),
        "cut": events.filter(~(later & other & seventh) | begins),
        "new": pl.concat([events, new]),
    }.items():
        assert not changed.equals(events)
        split = write_split(tmp_path / name, changed.cast(EVENTS), few + (name == "new"),
                            recipe=recipe)  # fmt: skip
        assert pool_and_features(built(split), query) == before, name
    past = events.with_columns(item=(pl.col("item") + 7 * (~later & other)) % N_ITEMS)
    split = write_split(tmp_path / "past", past.cast(EVENTS), few, recipe=recipe)
    assert pool_and_features(built(split), query) != before


def test_windows_keep_what_lies_before_the_query() -> None:
    for dataset in DATASETS.values():
        recipe = dataset.recipe
        kept = {row.name: row for row in recipe.causal().retrievers}
        for row in recipe.retrievers:
            if row.name not in kept:
                continue
            if getattr(row, "looks_ahead", False):
                assert not kept[row.name].looks_ahead  # type: ignore[attr-defined]
            if ahead := getattr(row, "lookahead_s", 0):
                left = kept[row.name]
                assert left.lookahead_s == 0  # type: ignore[attr-defined]
                assert left.window_s == row.window_s - ahead > 0  # type: ignore[attr-defined]
        assert not any(getattr(row, "lookahead_s", 0) for row in recipe.causal().features)
