"""--causal: nothing later than the query moves anything.

pytest tests/test_causal.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import N_ITEMS, planted_events
from test_rules import history, write_world

from src.candidates import pool
from src.candidates.rules import World, block_lists
from src.data.causal import causal
from src.data.recipe import Recipe
from src.data.schemas import EVENTS
from src.datasets import RECIPES
from src.datasets.tianchi.clicklog import CONTEXT
from src.features.table import Features

QUERIES = 40


def world_of(folder: Path, events: pl.DataFrame) -> World:
    """With everything that a recipe may look at, made from the events alone."""
    context = {c: (pl.col("ts") // 60 % 3).cast(pl.Int32) for c in CONTEXT.values()}
    known = {c: np.arange(N_ITEMS) * 7 % 50 for c in ("created", "words", "category")}
    return write_world(folder, events.with_columns(**context), QUERIES, known=known)


def answers(recipe: Recipe, world: World, query: int) -> tuple[bytes, bytes]:
    """The candidates of one query, and their features."""
    lists = block_lists(world, dict(enumerate(recipe.rules)), query, query + 1)
    made = pool.merge(lists, len(recipe.rules), query, query + 1, 50)
    return made.item.tobytes(), Features(recipe).compute(world, made).tobytes()


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_future_moves_nothing(tmp_path: Path, name: str) -> None:
    recipe = causal(RECIPES[name])
    if len(recipe.types) == 2:  # the planted events have three types
        recipe = replace(recipe, types=(*recipe.types, "others"))
    events = planted_events()
    world = world_of(tmp_path / "a", events)
    query = world.first_query + 17
    now = history(world, query)[-1][1]
    later = (pl.col("ts") >= now) & (pl.col("session") != query)
    moved = events.with_columns(item=(pl.col("item") + 7 * later) % N_ITEMS).cast(EVENTS)
    assert events.filter(later).height > 100
    changed = world_of(tmp_path / "b", moved)
    before = answers(recipe, world, query)
    assert len(before[0]) > 20 and answers(recipe, changed, query) == before
    past = events.with_columns(item=(pl.col("item") + 7 * ~later) % N_ITEMS).cast(EVENTS)
    assert answers(recipe, world_of(tmp_path / "c", past), query) != before


def test_windows_keep_what_lies_before_the_query() -> None:
    for recipe in RECIPES.values():
        kept = {row.name: row for row in causal(recipe).rules}
        for row in recipe.rules:
            if getattr(row, "ahead", False) is not False and row.name in kept:
                assert not kept[row.name].ahead
                if hasattr(row, "window"):
                    assert kept[row.name].window == row.window - row.ahead > 0
        assert not any(getattr(row, "ahead", 0) for row in causal(recipe).features)
