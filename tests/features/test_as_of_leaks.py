"""No feature of a list knows its own labels, or anything of its time or later. Exact tests.

pytest tests/features/test_as_of_leaks.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shown import TICK, Shown, random_log, world

from src.datasets import DATASETS
from src.features.as_of import WHAT, AsOfFeature
from src.features.base import FeatureGroup
from src.features.exposure_ahead import ExposureAheadFeature
from src.features.item_number import ItemNumberFeature

KEYS = (("item",), ("user", "item"), ("scene", "item"), ("page", "item"), ("user",))
WINDOWS, HALVES = (2 * TICK, 5 * TICK, None), (3 * TICK,)
AS_OF = [AsOfFeature("shown", key, WHAT, WINDOWS, HALVES) for key in KEYS]
LATE = replace(AS_OF[0], what=("clicks", "rate"), delay_s=3 * TICK)
VISITS = AsOfFeature("visits", ("item",), ("count", "share", "decayed", "first", "last", "new"),
                     WINDOWS, HALVES)  # fmt: skip
READS = AsOfFeature("reads", ("user",), ("clicks", "rate"), WINDOWS, outcome="read")
FEATURES: tuple[FeatureGroup, ...] = (
    *AS_OF,
    LATE,
    VISITS,
    READS,
    ItemNumberFeature(("shown", "visits")),
)

seeds = given(seed=st.integers(0, 10**6), place=st.floats(0, 0.999))
few = settings(max_examples=8, deadline=None)


def differ(
    tmp: pytest.TempPathFactory, lists: Sequence[Shown], one: Sequence[Shown],
    other: Sequence[Shown], features: Sequence[FeatureGroup] = FEATURES,
) -> tuple[pl.DataFrame, pl.DataFrame]:  # fmt: skip
    """Return the lists, and which of their columns differ between two logs."""
    a, b = (world(tmp.mktemp("w"), lists, log, features)[1] for log in (one, other))
    changed = {name: a[name].to_numpy() != b[name].to_numpy() for name in a.columns[5:]}
    return a, pl.DataFrame(changed)


@few
@seeds
def test_a_flipped_label_moves_nothing_at_its_time_or_before(
    tmp_path_factory: pytest.TempPathFactory, seed: int, place: float
) -> None:
    log = [row._replace(click=row.click or 0) for row in random_log(seed)]
    n = int(place * len(log))
    flipped = [*log]
    flipped[n] = log[n]._replace(click=1 - (log[n].click or 0))
    rows, changed = differ(tmp_path_factory, log, log, flipped)
    moved = rows.filter(changed.select(pl.any_horizontal(pl.all())).to_series())
    assert moved.is_empty() or moved["tick"].min() > log[n].tick  # type: ignore[operator]
    late = rows.filter(changed.select(pl.any_horizontal(pl.col("^.*late.*$"))).to_series())
    assert late.is_empty() or late["tick"].min() > log[n].tick + 3  # type: ignore[operator]


@few
@seeds
def test_a_log_that_ends_at_the_list_gives_the_same_features(
    tmp_path_factory: pytest.TempPathFactory, seed: int, place: float
) -> None:
    log = random_log(seed)
    tick = log[int(place * len(log))].tick
    lists = [row for row in log if row.tick <= tick]
    _, changed = differ(tmp_path_factory, lists, log, [r for r in log if r.tick < tick])
    assert not changed.to_numpy().any()


@few
@seeds
def test_the_order_of_rows_of_one_time_moves_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int, place: float
) -> None:
    log, rng = random_log(seed), np.random.default_rng(seed)
    other = [log[n] for n in rng.permutation(len(log))]
    _, changed = differ(tmp_path_factory, log, log, other)
    assert not changed.to_numpy().any()


def test_the_leak_tests_would_see_a_change(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A click moves later lists, and a look-ahead sees what lies behind."""
    log = [Shown(0, 0, 0), Shown(0, 0, 1), Shown(2, 1, 0), Shown(9, 1, 0)]
    clicked = [log[0]._replace(click=1), *log[1:]]
    rows, changed = differ(tmp_path_factory, log, log, clicked)
    assert changed["shown_item_clicks_all"].to_list() == [False, False, True, True]
    assert changed["shown_item_clicks_all_0.03h_late"].to_list() == [False] * 3 + [True]
    assert rows["tick"].to_list() == [0, 0, 2, 9]
    ahead = (ExposureAheadFeature("shown", ("item",), (5 * TICK,)),)
    _, changed = differ(tmp_path_factory, log, log, log[:2], ahead)
    assert changed["ahead_shown_item_count_0.05h"].any()


def test_a_list_at_the_second_of_a_row_does_not_count_it(tmp_path: Path) -> None:
    """A row one second earlier counts; those of the same second, its own too, do not."""
    log = [Shown(0, 0, 0, 1), Shown(1, 0, 0, 1), Shown(1, 1, 0, 1)]
    _, rows = world(tmp_path, log, log, AS_OF[:1])
    assert rows["shown_item_count_all"].to_list() == [0, 1, 1]
    assert rows["shown_item_clicks_all"].to_list() == [0, 1, 1]


def test_a_look_ahead_is_declared_and_off() -> None:
    ahead = ExposureAheadFeature("shown", ("item",), (60,))
    assert ahead.causal() is None
    recipe = DATASETS["ebnerd"].recipe
    assert recipe.causal() == recipe, "the recipe itself never looks ahead"
    assert not [row for row in recipe.features if isinstance(row, ExposureAheadFeature)]
    more = replace(recipe, features=(*recipe.features, ahead))
    assert more.causal() == recipe
