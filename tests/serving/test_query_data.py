"""Retrievers and features of all kinds: a query as in the split that has its session.

pytest tests/serving/test_query_data.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from planted import BARE, N_ITEMS, planted_split, small_split, whole

from src.candidates.base import Retriever
from src.candidates.history import HistoryRetriever
from src.candidates.item_names import ItemNameRetriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.new_items import NewItemRetriever
from src.candidates.pool import Pool
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.text_knn import TextKnnRetriever
from src.candidates.transitions import TransitionRetriever
from src.candidates.unseen import unseen_lists
from src.data import paths
from src.data.split_data import SplitData
from src.data.units import DAY, HOUR
from src.features.context import ContextFeature
from src.features.item_age import ItemAgeFeature
from src.features.item_attribute import ItemAttributeFeature
from src.features.item_statistics import ItemStatisticsFeature
from src.features.popularity import ContextPopularityFeature, PopularityFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.features.table import FeatureTable
from src.serving.query_data import QueryData

RETRIEVERS: list[Retriever] = [
    HistoryRetriever("own", Seeds()),
    ItemToItemRetriever("near", "near", Seeds("visit", decay=0.7)),
    SessionKnnRetriever("vsknn", neighbours=20, idf=True),
    SessionKnnRetriever("stan", query_decay=2.0, recency_days=3.0, item_decay=5.0, sample_size=9),
    PopularRetriever("week"),
    PopularRetriever("hour", window_s=HOUR, bucket_s=300, lookahead_s=600, top=8),
    PopularRetriever("always", window_s=None, type_weight=(1, 2, 3), top=8),
    TransitionRetriever("flow", Seeds(), max_steps=2, half_life=DAY),
    NewItemRetriever("fresh", "created", 9.0, "category", "words", 80.0),
    NewItemRetriever("cold", "created", 20.0, unseen=True),
]
TEXT_RETRIEVERS: list[Retriever] = [
    TextKnnRetriever("exact", "exact"),
    TextKnnRetriever("ngrams", "ngrams", neighbours=3, power=2.0, popularity=0.3),
    ItemNameRetriever("names"),
]
FEATURES = replace(
    BARE,
    features=(
        SessionFeature(), SessionItemFeature(), PopularityFeature(0, (DAY, None)),
        ContextPopularityFeature("device", (DAY,)), ContextFeature("device"), ItemAgeFeature(),
        ItemAttributeFeature("category", ("value", "same_last", "share")),
        ItemStatisticsFeature(), ItemStatisticsFeature(last_days=7),
    ),
)  # fmt: skip
SESSIONS = [[0, 1], [0, 2, 0], [3], [1, 3, 0], [2], [], [2], [1, 0], [], [3, 0], [], [1]]
TEXTS = ["Rainy Day!", "rainy  day", "rain", "Workout", "🎸", "", "rainy day", "workout",
         "RAINY day.", "wörkout mix", "🎸", "?!"]  # fmt: skip


class Both(NamedTuple):
    """A split, and the same with room for a query."""

    split: SplitData
    query: QueryData


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("planted")
    data = planted_split(folder, replace(FEATURES, matrices=()))
    file = paths.events(data.run, "valid")
    events = pl.read_parquet(file)
    device = pl.Series("device", np.arange(events.height) % 3, pl.Int32)
    whole(file, events.with_columns(device))
    return Both(SplitData(data.run, "valid"), QueryData(data.run, "valid"))


@pytest.fixture(scope="module")
def titled(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """12 sessions with texts, the last 4 of them queries; two have no event."""
    folder = tmp_path_factory.mktemp("titled")
    rows = [[(item, 9 * s + n, 0) for n, item in enumerate(x)] for s, x in enumerate(SESSIONS)]
    data = small_split(folder, rows, 4)
    file = paths.sessions(data.run, "valid")
    whole(file, pl.read_parquet(file).with_columns(text=pl.Series(TEXTS)))
    names = {"item_id": range(5), "title": ["Rainy Day", "Workout", None, "Rain rain day", "x"]}
    whole(folder / "items.parquet", pl.DataFrame(names))
    return Both(SplitData(data.run, "valid"), QueryData(data.run, "valid"))


def assert_same_lists(both: Both, row: Retriever, unseen: bool = False) -> None:
    found = 0
    for session in range(both.split.first_query, both.split.n_sessions):
        both.query.take(both.query.stored_query(session))
        n = both.query.query_session
        pairs = [(both.split, session), (both.query, n)]
        if unseen:
            lists = [unseen_lists(row, data, first, first + 1) for data, first in pairs]
        else:
            lists = [row.lists(data, first, first + 1) for data, first in pairs]
        for wanted, got in zip(*lists, strict=True):
            assert wanted.tobytes() == got.tobytes()
        found += (lists[0][0] >= 0).any()
    assert found


@pytest.mark.parametrize("row", RETRIEVERS, ids=lambda row: row.name)
def test_lists(planted: Both, row: Retriever) -> None:
    assert_same_lists(planted, row)


@pytest.mark.parametrize("row", TEXT_RETRIEVERS, ids=lambda row: row.name)
def test_lists_of_texts(titled: Both, row: Retriever) -> None:
    assert_same_lists(titled, row)


def test_lists_without_own_items(planted: Both) -> None:
    assert_same_lists(planted, RETRIEVERS[2], unseen=True)
    assert_same_lists(planted, RETRIEVERS[5], unseen=True)


@pytest.mark.parametrize("days", [0.3, 4.1, 8.7])
def test_popular_items_at_a_time_of_no_other_query(planted: Both, days: float) -> None:
    """Counted by hand: the week before the last full hour."""
    s, row = planted.split.sessions, RETRIEVERS[4]
    now = int(s.ts.min() + days * DAY)
    query = planted.query.stored_query(s.first_query)
    planted.query.take(replace(query, ts=np.full_like(query.ts, now)))
    (item,), (score,) = row.lists(planted.query, s.n_sessions, s.n_sessions + 1)
    assert sum("popular at hand" in key for key in planted.query._cache) == 1, "of one time"
    end = now // HOUR * HOUR
    count = np.bincount(s.item[(s.ts >= end - 7 * DAY) & (s.ts < end)], minlength=N_ITEMS)
    wanted = sorted(np.flatnonzero(count).tolist(), key=lambda i: (-count[i], i))[: row.length]
    assert (
        item[item >= 0].tolist() == wanted
        and score[item >= 0].tolist() == (1000 * count[wanted]).tolist()
    )


def test_features(planted: Both) -> None:
    table = FeatureTable(FEATURES)
    item = np.arange(N_ITEMS, dtype=np.int32)[::3]
    for session in range(planted.split.first_query, planted.split.n_sessions, 5):
        planted.query.take(planted.query.stored_query(session))
        offsets = np.array([0, item.size])
        pairs = [(planted.split, session), (planted.query, planted.query.query_session)]
        wanted, got = (table.compute(data, Pool.without_lists(first, offsets, item))
                       for data, first in pairs)  # fmt: skip
        assert wanted.tobytes() == got.tobytes()
    assert np.ptp(wanted, axis=0).astype(bool).sum() > 20


def test_a_query_without_events_is_now(titled: Both) -> None:
    query = titled.query.stored_query(5 + 5)
    titled.query.take(query)
    n = titled.query.query_session
    assert titled.query.query_ts(n, n + 1).tolist() == [titled.split.sessions.ts.max()]
    assert titled.query.query_texts(n, n + 1) == ["🎸"]
    assert titled.query.texts.to_list() == TEXTS


def test_the_usual_gap(tmp_path: Path) -> None:
    """The median within sessions, whether empty ones stand between or at the end."""
    rows = [[], [(0, 10, 0), (1, 13, 0)], [], [(0, 500, 0), (1, 505, 0), (1, 605, 0)], []]
    data = small_split(tmp_path, rows, 1)
    assert QueryData(data.run, "valid").usual_gap == 5


def test_a_split_without_events_has_no_gap(tmp_path: Path) -> None:
    data = small_split(tmp_path, [[], []], 1)
    assert QueryData(data.run, "valid").usual_gap == 0
