"""The recipe of a log: rows fitted to its types, and to what it has and lacks.

pytest tests/datasets/test_interactions_recipe.py
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import polars as pl
import pytest
import worlds

from src.candidates.history import HistoryRetriever
from src.candidates.new_items import NewItemRetriever
from src.data.recipe import Recipe
from src.datasets.interactions.fitted_rows import fitted
from src.datasets.interactions.flags import DEFAULTS, Flags
from src.datasets.interactions.found import Found
from src.datasets.interactions.recipe import recipe_of
from src.datasets.interactions.types import number_types
from src.features.pool import PoolFeature
from src.features.rating import RatingFeature
from src.features.table import FeatureTable
from src.features.two_tower import TwoTowerFeature
from src.matrices.covisitation import CovisitationMatrix

FOUND = Found(
    flags=DEFAULTS, who="user", days=7.0, columns={}, unit="seconds", types=("view",),
    has_ratings=False, whole_ratings=True, attributes={}, context={}, has_titles=False,
    has_created=False,
    events=10_000, users=100, items=50, cold_items=0, first=0, last=10**6,
)  # fmt: skip
OTTO = worlds.OTTO.recipe


def made(found: Found = FOUND, **flags: str) -> Recipe:
    return recipe_of(found, Flags.parse({**DEFAULTS, **flags}))


@pytest.mark.parametrize("n_types", [1, 2, 3, 5])
def test_rows_have_a_weight_per_type(n_types: int) -> None:
    rows = {row.name: row for row in fitted(OTTO.matrices, n_types)}
    counted = [row for row in rows.values() if isinstance(row, CovisitationMatrix)]
    assert all(len(row.target_weight) == len(row.source_weight) == n_types for row in counted)
    if n_types == 1:
        assert not {"buy2buy", "then_buy_6h"} & set(rows), "nobody buys"
        assert rows["ahead2_136"].target_weight == (1.0,)
    if n_types == 2:
        assert rows["ahead2_136"].target_weight == (1, 6) and rows["buy2buy"].types == (1,)
        assert rows["day_carts"].target_weight == (0.5, 0.5)
    if n_types == 3:
        assert fitted(OTTO.matrices, 3) == OTTO.matrices, "they were made for three"
    if n_types == 5:
        assert rows["ahead2_136"].target_weight == (1, 3, 3, 3, 6)
        assert rows["buy2buy"].types == (1, 2, 3, 4)


def test_rows_that_became_equal_are_left_out() -> None:
    rows = [row.name for row in fitted(OTTO.matrices, 1)]
    assert "day_136" in rows and "day_carts" not in rows, "without types they count the same"
    (own,) = fitted((HistoryRetriever("own", worlds.TINY.retrievers[0].seeds),), 1)  # type: ignore[attr-defined]
    assert own.seeds.type_weight == (1.0,), "seeds inside a row, too"


def test_one_type_is_one_objective_and_the_whole_weight() -> None:
    (objective,) = made().objectives
    assert (objective.name, objective.weight) == ("view", 1.0)
    (net,) = (row for row in made().features if isinstance(row, TwoTowerFeature))
    assert net.names(made()) == ["net_view"]


def test_weights_choose_the_objectives() -> None:
    found = replace(FOUND, types=("view", "cart", "buy"))
    assert [o.weight for o in made(found).objectives] == [1 / 3] * 3
    recipe = made(found, weights="buy=2,view=1")
    assert {o.name: o.weight for o in recipe.objectives} == {"view": 1, "buy": 2}
    assert recipe.types == found.types
    assert {row.name for row in recipe.retrievers} >= {"net_view", "net_buy"}


def test_unseen_lists_have_no_retriever_of_the_history() -> None:
    recipe = made(candidates="unseen")
    assert recipe.exclude_seen and not made().exclude_seen
    assert not [row for row in recipe.retrievers if isinstance(row, HistoryRetriever)]
    assert not [b.name for b in recipe.baselines if "own" in b.retrievers]
    assert [row for row in made().retrievers if isinstance(row, HistoryRetriever)]


def test_held_out_candidates_are_given() -> None:
    rated = replace(FOUND, has_ratings=True, types=("rating",))
    recipe = made(rated, candidates="held-out", grades="rating")
    assert recipe.given and not recipe.retrievers and recipe.matrices
    assert recipe.negatives_per_positive == inf, "all candidates are judged"
    assert PoolFeature() not in recipe.features and RatingFeature("agreement") in recipe.features
    losses = {row.name: dict(row.params)["objective"] for row in recipe.rankers}  # type: ignore[attr-defined]
    assert losses == {"squares": "reg:squarederror", "ndcg": "rank:ndcg"}, "no two classes"
    half = made(replace(rated, whole_ratings=False), candidates="held-out", grades="rating")
    assert ("ndcg_exp_gain", False) in half.rankers[1].params  # type: ignore[attr-defined]


def test_attributes_and_context_are_features() -> None:
    kinds = {"price": "number", "colour": "category", "genre_a": "flag"}
    found = replace(FOUND, attributes=kinds, context={"age": "number", "town": "category"})
    names = [name for row in made(found).features for name in row.names(made(found))]
    assert {"price_minus_mean", "colour_share", "genre_a_value", "context_age"} <= set(names)
    assert "popular_same_town_all" in names and "popular_same_age_all" not in names


def test_items_without_events_have_retrievers() -> None:
    def of(found: Found) -> list[tuple[str, str | None]]:
        rows = (row for row in made(found).retrievers if isinstance(row, NewItemRetriever))
        return [(row.name, row.created) for row in rows]

    found = replace(FOUND, attributes={"price": "number", "colour": "category"})
    assert of(found) == []
    assert of(replace(found, cold_items=3)) == [("cold_colour", None)]
    assert of(replace(found, cold_items=3, has_created=True)) == [("fresh", "created")]


def test_types_named_as_a_column_get_an_underscore() -> None:
    counts = pl.DataFrame({"type": ["Visits", "score", "hour", "view"], "len": [5, 4, 3, 2]})
    names = tuple(number_types(counts, ()).values())
    assert names == ("Visits_", "score_", "hour_", "view")
    FeatureTable(made(replace(FOUND, types=names)))  # no two columns have one name
