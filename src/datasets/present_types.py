"""Leave out of a recipe what a log without some event types never has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from src.candidates.two_tower import TwoTowerRetriever
from src.data.recipe import Recipe
from src.features.item_item import ItemItemFeature
from src.features.popularity import PopularityFeature

Row = TypeVar("Row")

WEIGHTS = ("source_weight", "target_weight", "type_weight")
"""Fields of rows with a number per event type."""


def with_types(recipe: Recipe, present: Collection[str]) -> Recipe:
    """Keep the objectives of the types that are present, and the rows that count any of them.

    The weights of the objectives that are left sum to 1. The recipe itself is returned where all
    types of its objectives are present.
    """
    left = [n for n, o in enumerate(recipe.objectives) if o.name in present]
    if len(left) == len(recipe.objectives) or not left:
        return recipe
    kept = {n for n, name in enumerate(recipe.types) if name in present}
    total = sum(recipe.objectives[n].weight for n in left)
    objectives = tuple(
        replace(recipe.objectives[n], weight=recipe.objectives[n].weight / total) for n in left
    )
    matrices = tuple(row for row in recipe.matrices if counts(row, kept))
    tables = {*(row.name for row in matrices), *(row.name for row in recipe.embeddings)}
    retrievers = tuple(
        _renumbered(row, left)
        for row in recipe.retrievers
        if counts(row, kept) and tables.issuperset(row.tables) and _is_left(row, left)
    )
    names = {row.name for row in retrievers}
    return replace(
        recipe,
        objectives=objectives,
        matrices=matrices,
        retrievers=retrievers,
        baselines=tuple(row for row in recipe.baselines if names.issuperset(row.retrievers)),
        alternatives=tuple(row for row in recipe.alternatives if row.retriever in names),
        features=tuple(row for row in recipe.features if _has_values(row, kept, tables)),
    )


def counts(row: object, kept: Collection[int]) -> bool:
    """Whether a row, and the seeds in it, give a weight to any of the types."""
    for field in fields(row):  # type: ignore[arg-type]
        value = getattr(row, field.name)
        if field.name in WEIGHTS and not any(value[n] for n in kept if n < len(value)):
            return False
        if field.name == "types" and value is not None and not set(value) & set(kept):
            return False
        if is_dataclass(value) and not isinstance(value, type) and not counts(value, kept):
            return False
    return True


def _is_left(row: object, left: list[int]) -> bool:
    return not isinstance(row, TwoTowerRetriever) or row.objective in left


def _renumbered(row: Any, left: list[int]) -> Any:
    """Give the retriever of an objective the number that the objective gets."""
    if isinstance(row, TwoTowerRetriever):
        return replace(row, objective=left.index(row.objective))
    return row


def _has_values(row: object, kept: Collection[int], tables: Collection[str]) -> bool:
    """Whether a feature group has columns that are not all 0."""
    if isinstance(row, PopularityFeature):
        return row.type in kept
    return not isinstance(row, ItemItemFeature) or row.table in tables
