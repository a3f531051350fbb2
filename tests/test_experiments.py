"""experiments.csv names every row of every recipe.

pytest tests/test_experiments.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from src.blend.experiments import changed, rows_of
from src.datasets import RECIPES


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_row_is_named(name: str) -> None:
    recipe = RECIPES[name]
    rows = rows_of(recipe)
    tables = (recipe.objectives, recipe.matrices, recipe.embeddings, recipe.rules,
              recipe.baselines, recipe.features, recipe.rankers)  # fmt: skip
    assert len(rows) > sum(map(len, tables))
    assert changed(rows, rows) == ""


def test_changes_are_told() -> None:
    recipe = RECIPES["otto"]
    fewer = replace(recipe, rules=recipe.rules[1:], baselines=(), pool_size=99)
    told = changed(rows_of(recipe), rows_of(fewer))
    assert told.startswith("+pool_size=99; -HistoryRetriever own ") and "-pool_size=150" in told
    assert told.count("-Baseline") == len(recipe.baselines)
    many = changed(rows_of(recipe), rows_of(RECIPES["tianchi"]))
    assert many.endswith("more")
