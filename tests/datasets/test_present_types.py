"""A log without some event types: its recipe has no objective and no row of them.

pytest tests/datasets/test_present_types.py
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import worlds
from otto_log import A, C, O, a_world
from worlds import OTTO, TINY

from src.candidates.two_tower import TwoTowerRetriever
from src.datasets.present_types import counts, with_types
from src.features.popularity import PopularityFeature
from src.features.two_tower import TwoTowerFeature


def test_all_types_leave_the_recipe_as_it_is() -> None:
    assert with_types(TINY, {C, A, O, "views"}) is TINY


@pytest.mark.parametrize("types", [{C}, {O}, {C, O}])
def test_weights_sum_to_1_and_absent_types_have_no_rows(types: set[str]) -> None:
    recipe, kept = with_types(TINY, types), {TINY.types.index(name) for name in types}
    weight = {o.name: o.weight for o in TINY.objectives}
    assert {o.name: o.weight for o in recipe.objectives} == pytest.approx(
        {name: weight[name] / sum(map(weight.get, types)) for name in types}
    )
    assert recipe.types == TINY.types, "numbers of types stay"
    nets = [row for row in recipe.retrievers if isinstance(row, TwoTowerRetriever)]
    named = {row.name: recipe.objectives[row.objective].name for row in nets}
    assert named == {f"net_{name}": name for name in types}
    popular = {row.type for row in recipe.features if isinstance(row, PopularityFeature)}
    assert popular == kept
    assert all(counts(row, kept) for row in (*recipe.matrices, *recipe.retrievers))
    (net,) = (row for row in recipe.features if isinstance(row, TwoTowerFeature))
    assert net.names(recipe) == [f"net_{o.name}" for o in recipe.objectives]


def test_rows_that_count_nothing() -> None:
    rows = {row.name: row for row in (*OTTO.recipe.matrices, *OTTO.recipe.retrievers)}
    gone = {name for name, row in rows.items() if not counts(row, {0})}
    assert {"buy2buy", "then_buy_6h", "own_bought", "popular_buys", "day_buys"} <= gone
    assert not gone & {"near3", "day_carts", "day_136", "own", "popular", "vsknn"}
    assert not counts(rows["ahead2_clicks"], {1, 2}) and counts(rows["buy2buy"], {2})


def test_step_1_notes_the_types_and_labels_their_objectives(tmp_path: Path, monkeypatch) -> None:
    world = [(s, [(i, ts, O) for i, ts, _ in events]) for s, events in a_world(5)]
    worlds.write(tmp_path / "in", "train", world)
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    out = tmp_path / "out"
    assert json.loads((out / "dataset.json").read_text()) == {"types": [O]}
    labels = pl.read_parquet(out / "valid" / "labels.parquet")
    assert set(labels["objective"]) == {0} and labels.height
    assert set(pl.read_parquet(out / "valid" / "events.parquet")["type"]) == {2}


def test_a_log_that_gets_other_types_gets_their_objectives(tmp_path: Path, monkeypatch) -> None:
    only = [(s, [(i, ts, C) for i, ts, _ in events]) for s, events in a_world(5)]
    worlds.write(tmp_path / "in", "train", only)
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    worlds.write(tmp_path / "in", "train", a_world(5))
    assert worlds.prepare(monkeypatch, tmp_path) == 0
    labels = pl.read_parquet(tmp_path / "out" / "valid" / "labels.parquet")
    assert set(labels["objective"]) == {0, 1, 2}
