"""Events on the candidate in time windows, and its age.

pytest tests/features/test_popularity_features.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plain_features import RECIPE, at, columns_of, pairs
from planted import BARE, DAY, N_ITEMS, A, B, C, D, E, history, small_split

from src.candidates.pool import Pool
from src.core.arrays import F32
from src.data.split_data import SplitData
from src.data.units import HOUR
from src.features.item_age import ItemAgeFeature
from src.features.popularity import ContextPopularityFeature, PopularityFeature

WINDOWS = ((0, HOUR), (0, 7 * DAY), (1, DAY), (2, None))
POPULAR = ["popular_clicks_1h", "popular_clicks_168h", "popular_carts_24h", "popular_orders_all"]
SAME_DEVICE = "popular_same_device_24h"


def test_popularity_columns(data: SplitData, pool: Pool, X: F32) -> None:
    now = {s: history(data, s)[-1][1] for s in set(pool.session.tolist())}
    for (type_, window), name in zip(WINDOWS, POPULAR, strict=True):
        events = [e for s in range(data.n_sessions) for e in history(data, s) if e[2] == type_]
        times = {y: [ts for item, ts, _ in events if item == y] for y in range(N_ITEMS)}
        first = {s: now[s] - window if window else 0 for s in now}
        wanted = [sum(first[s] <= ts < now[s] for ts in times[y]) for s, y in pairs(pool)]
        assert X[:, at(name)].tolist() == wanted and len(set(wanted)) > 1
    hour, week = X[:, at("popular_clicks_1h")], X[:, at("popular_clicks_168h")]
    trend = X[:, at("popular_clicks_1h_of_168h")]
    np.testing.assert_allclose(trend, hour / np.maximum(week, 1))
    assert np.ptp(trend) > 0


def test_popularity_window_borders(tmp_path: Path) -> None:
    now, times = HOUR + 2, (1, 2, HOUR + 1, HOUR + 2, HOUR + 3)
    data = small_split(tmp_path, [[(A, ts, 0) for ts in times], [(A, now, 0)]], 1)
    columns = columns_of(data, PopularityFeature(0, (7 * DAY, HOUR)), 1, [A])
    assert columns["popular_clicks_1h"] == [2]


def test_popularity_of_a_type_that_never_occurs(tmp_path: Path) -> None:
    """Clicks alone: an item has not the next one's for carts, nor the last one what lies behind."""
    clicks = [(y, 100 + y, 0) for y in range(5)]
    data = small_split(tmp_path, [clicks, [(A, 200, 0)]], 1)
    columns = columns_of(data, PopularityFeature(2, (None,)), 1, (A, B, C, D, E))
    assert not any(columns["popular_orders_all"])
    columns = columns_of(data, PopularityFeature(0, (HOUR,)), 1, (A, B, C, D, E))
    assert columns["popular_clicks_1h"] == [1] * 5


def test_popularity_windows_that_reach_ahead(tmp_path: Path) -> None:
    now, times = 1000, (899, 900, 1000, 1049, 1050)
    data = small_split(tmp_path, [[(A, ts, 0) for ts in times], [(A, now, 0)]], 1)
    columns = columns_of(data, PopularityFeature(0, (100,), 50), 1, [A])
    name = "popular_clicks_0.0277778h_0.0138889h_ahead"
    assert columns[name] == [4]  # the query's own event, too


def test_popularity_in_the_same_context(data: SplitData, pool: Pool, X: F32) -> None:
    s, device = data.sessions, data.context("device")
    last = s.offsets[1:] - 1
    for i, (session, item) in enumerate(pairs(pool)):
        now, own = s.ts[last[session]], device[last[session]]
        around = (s.ts >= now - DAY) & (s.ts < now) & (s.item == item) & (device == own)
        assert X[i, at(SAME_DEVICE)] == around.sum()
    assert np.ptp(X[:, at(SAME_DEVICE)]) > 1


def test_item_age_columns(data: SplitData, pool: Pool, X: F32) -> None:
    everything = [e for s in range(data.n_sessions) for e in history(data, s)]
    times = {y: [ts for item, ts, _ in everything if item == y] for y in range(N_ITEMS)}
    for i, (session, item) in enumerate(pairs(pool)):
        now = history(data, session)[-1][1]
        ago = [now - ts for ts in times[item] if ts < now] or [-1]
        assert X[i, at("seen_first")] == max(ago) and X[i, at("seen_latest")] == min(ago)


def test_what_causal_leaves() -> None:
    """Windows end at the query; rows that then differ in their windows only become one."""
    rows = (
        PopularityFeature(0, (HOUR, None)), PopularityFeature(1, (DAY,), DAY),
        ContextPopularityFeature("device", (HOUR,), HOUR), PopularityFeature(0, (DAY, HOUR), DAY),
        ContextPopularityFeature("os", (DAY,)), ContextPopularityFeature("device", (DAY,), DAY),
        ItemAgeFeature(), ItemAgeFeature(),
    )  # fmt: skip
    recipe = replace(BARE, features=rows).causal()
    assert recipe.features == (
        PopularityFeature(0, (HOUR, None, DAY)), PopularityFeature(1, (DAY,)),
        ContextPopularityFeature("device", (HOUR, DAY)), ContextPopularityFeature("os", (DAY,)),
        ItemAgeFeature(),
    )  # fmt: skip
    left = RECIPE.causal().features
    kept = [
        row for row in RECIPE.features if getattr(row, "table", getattr(row, "model", None)) is None
    ]
    assert left == tuple(row for row in kept if not hasattr(row, "last_days"))


def test_a_type_that_the_recipe_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"popularity feature: no event type 3 in \('clicks', "):
        replace(BARE, features=(PopularityFeature(3, (HOUR,)),))
