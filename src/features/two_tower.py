"""Columns: cosine of the candidate and the query vector of a two-tower model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from src.core.arrays import F32
from src.core.run import Run
from src.data import paths
from src.data.vectors import item_vectors, query_vectors
from src.features.base import FeatureGroup, Memory, QueryBatch
from src.features.two_tower_kernel import cosine_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class TwoTowerFeature(FeatureGroup):
    """Computes the cosine of the candidate and the query vector, a column and a rank per objective.

    0 for a session without an event, whose query vector is 0.
    """

    made_ahead: ClassVar[bool] = True

    model: str  # name of an embedding that makes query vectors

    def check(self, recipe: Recipe) -> None:
        recipe.check_query_vectors("two-tower feature", self.model)

    def names(self, recipe: Recipe) -> list[str]:
        return [f"{self.model}_{objective.name}" for objective in recipe.objectives]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        return range(len(recipe.objectives))

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [
            paths.item_vectors(run, split, self.model),
            paths.query_vectors(run, split, self.model),
        ]

    def memory(self, run: Run, split: str) -> Memory:
        """Count the item vectors; query vectors are read batch by batch."""
        return Memory(float(paths.total_size([paths.item_vectors(run, split, self.model)])))

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        queries = query_vectors(batch.data, self.model, batch.first, batch.end)
        vectors = item_vectors(batch.data, self.model)
        cosine_columns(batch.candidates, queries, vectors, column, X)
