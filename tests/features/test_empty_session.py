"""A session without an event: what the columns of every kind hold, and none is its neighbour's.

pytest tests/features/test_empty_session.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from plain_features import TABLES, columns_of
from planted import A, B, C, D, E, small_split, whole

from src.data import paths
from src.data.split_data import SplitData
from src.data.units import DAY, HOUR
from src.features.base import FeatureGroup
from src.features.context import ContextFeature
from src.features.item_age import ItemAgeFeature
from src.features.item_attribute import RELATIONS, ItemAttributeFeature
from src.features.item_item import EmbeddingFeature, MatrixFeature
from src.features.item_statistics import ItemStatisticsFeature
from src.features.pool import PoolFeature
from src.features.popularity import ContextPopularityFeature, PopularityFeature
from src.features.session import SessionFeature
from src.features.session_item import SessionItemFeature
from src.features.two_tower import TwoTowerFeature
from src.matrices.neighbours import NEIGHBOURS

NOW = 3 * DAY + 5 * HOUR + 7  # the last event of the split: the time of a query without events
LATE = [(A, NOW - 9000, 0), (D, NOW - 60, 1), (D, NOW, 0)]
BEFORE = [(A, 1000, 0), (B, 1100, 1), (A, 1200, 2), (C, 1300, 0)]
AFTER = [(E, 2000, 2)]
EMPTY = 2  # the session between the latter two
DEVICE = [0, 2, 0, *[3] * 5]  # of all events, in order; 0: unknown
UNKNOWN = -1e9
CANDIDATES = (A, D)

# the columns of candidates A and D, by kind; those of SessionFeature that are left out are -1
COUNTS = dict.fromkeys(("events", "items", "visits", "again", "visit_events", *TABLES.types), 0)
SESSION = {**COUNTS, "hour": 5, "weekday": 3}
WANTED: dict[FeatureGroup, dict[str, list[float]]] = {
    PoolFeature(): {"rrf_score": [0, 0], "pool_rank": [0, 1]},
    PopularityFeature(0, (HOUR, None)): {
        "popular_clicks_1h": [0, 0], "popular_clicks_all": [2, 0],
        "popular_clicks_1h_of_all": [0, 0],
        "popular_clicks_1h_rank": [0, 0], "popular_clicks_all_rank": [0, 1],
    },
    ContextPopularityFeature("device", (None,)): {  # of an unknown device, as that of the query
        "popular_same_device_all": [1, 0], "popular_same_device_all_rank": [0, 1],
    },
    ItemAgeFeature(): {"seen_first": [NOW - 1000, 60], "seen_latest": [9000, 60]},
    ItemAttributeFeature("words", RELATIONS): {
        "words_value": [100, 103], "words_age": [NOW - 100, NOW - 103], "words_last": [UNKNOWN] * 2,
        "words_last_age": [UNKNOWN] * 2, "words_minus_last": [UNKNOWN] * 2,
        "words_minus_mean": [UNKNOWN] * 2, "words_same_last": [0, 0], "words_share": [0, 0],
    },
    ContextFeature("device"): {"context_device": [0, 0]},
}  # fmt: skip


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> SplitData:
    """Neighbours, vectors and an attribute of all five items; query vectors as of a two-tower."""
    known = {"words": [100, 101, 102, 103, 104]}
    folder = tmp_path_factory.mktemp("split")
    data = small_split(folder, [LATE, BEFORE, [], AFTER], 3, known=known, recipe=TABLES)
    events = pl.read_parquet(paths.events(data.run, "valid"))
    device = pl.Series("device", DEVICE, pl.Int32)
    whole(paths.events(data.run, "valid"), events.with_columns(device))
    near = [(x, y, 1.0) for x in range(5) for y in range(5) if x != y]
    table = pl.DataFrame(near, schema=NEIGHBOURS, orient="row")
    whole(paths.neighbours(data.run, "valid", "near"), table)
    vectors, queries = np.ones((5, 4), np.float32) / 2, np.ones((3, 3, 4), np.float32) / 2
    queries[:, EMPTY - data.first_query] = 0
    for path, array in (
        (paths.item_vectors(data.run, "valid", "vec"), vectors),
        (paths.item_vectors(data.run, "valid", "net"), vectors),
        (paths.query_vectors(data.run, "valid", "net"), queries),
    ):
        path.parent.mkdir(exist_ok=True)
        np.save(path, array)
    return data


def values(split: SplitData, row: FeatureGroup, session: int = EMPTY) -> dict[str, list[float]]:
    return columns_of(split, row, session, CANDIDATES)


@pytest.mark.parametrize("row", WANTED, ids=lambda row: type(row).__name__)
def test_columns_by_hand(split: SplitData, row: FeatureGroup) -> None:
    found = values(split, row)
    np.testing.assert_allclose(
        [found[name] for name in WANTED[row]], [*WANTED[row].values()], rtol=1e-6
    )
    assert list(found) == list(WANTED[row])
    if type(row) is not PoolFeature:
        assert found != values(split, row, EMPTY - 1)


def test_session_columns(split: SplitData) -> None:
    found = values(split, SessionFeature())
    assert found == {n: [SESSION.get(n.removeprefix("session_"), -1)] * 2 for n in found}
    assert found["session_hour"] != values(split, SessionFeature(), EMPTY - 1)["session_hour"]


def test_session_item_columns(split: SplitData) -> None:
    """As of a candidate that the session has no event on."""
    found = values(split, SessionItemFeature())
    counts = ("count", *TABLES.types)
    assert found == {
        n: [0, 0] if "weight" in n or n.removeprefix("session_item_") in counts else [-1, -1]
        for n in found
    }
    assert values(split, SessionItemFeature(), EMPTY - 1)["session_item_count"] == [2, 0]


@pytest.mark.parametrize(
    "row", [MatrixFeature("near"), EmbeddingFeature("vec"), TwoTowerFeature("net")], ids=str
)
def test_scores_are_0(split: SplitData, row: FeatureGroup) -> None:
    assert not any(value for column in values(split, row).values() for value in column)
    assert any(value for column in values(split, row, EMPTY - 1).values() for value in column)


def test_statistics_do_not_depend_on_the_query(split: SplitData) -> None:
    row = ItemStatisticsFeature()
    assert values(split, row) == values(split, row, EMPTY - 1)
    assert values(split, row)["item_sessions_all"] == [2, 1]


def test_statistics_of_a_split_without_events(tmp_path: Path) -> None:
    data = small_split(tmp_path, [[], []], 0, recipe=TABLES)
    columns = columns_of(data, ItemStatisticsFeature(7), 1, CANDIDATES)
    assert columns["item_sessions_7d"] == [0, 0]
