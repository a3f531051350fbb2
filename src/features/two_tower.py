"""Columns of the cosine of the candidate and the query vector of a two-tower model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.arrays import F32
from src.core.run import Run
from src.data import paths
from src.data.vectors import item_vectors, query_vectors
from src.features.base import Block, FeatureGroup, Memory
from src.features.two_tower_kernel import cosine_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class TwoTowerFeature(FeatureGroup):
    """Cosine of the candidate and the query vector, a column and a rank per objective.

    The query vector of a session without an event is 0, and so are its cosines.
    """

    model: str  # an embedding that makes query vectors

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
        """The item vectors; those of the queries are read block by block."""
        return Memory(float(paths.total_size([paths.item_vectors(run, split, self.model)])))

    def causal(self) -> None:
        """Nothing: the model is trained on the whole split."""

    def fill(self, block: Block, X: F32, column: int) -> None:
        queries = query_vectors(block.data, self.model, block.first, block.end)
        vectors = item_vectors(block.data, self.model)
        cosine_columns(block.candidates, queries, vectors, column, X)
