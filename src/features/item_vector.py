"""Columns: the first numbers of the candidate's vector, for nets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from src.core.arrays import F32
from src.core.run import Run
from src.data import paths
from src.data.vectors import item_vectors
from src.features.base import FeatureGroup, Memory, QueryBatch

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class ItemVectorFeature(FeatureGroup):
    """Takes the first numbers of the candidate's vector, and whether it has one.

    Columns `<embedding>_0` and so on, then `<embedding>_has_vector`: of texts, whether they say
    anything. All are 0 for an item without a vector. Use it only of vectors that are the same in
    all splits, as those of texts are: the axes of a trained embedding differ from split to split.
    """

    made_ahead: ClassVar[bool] = True

    embedding: str
    dim: int = 16

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"item vector of {self.embedding}: dim is at least 1")

    def check(self, recipe: Recipe) -> None:
        if self.embedding not in {row.name for row in recipe.embeddings}:
            raise ValueError(f"item vector feature: no embedding named {self.embedding}")

    def names(self, recipe: Recipe) -> list[str]:
        numbers = [f"{self.embedding}_{number}" for number in range(self.dim)]
        return [*numbers, f"{self.embedding}_has_vector"]

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.item_vectors(run, split, self.embedding)]

    def memory(self, run: Run, split: str) -> Memory:
        return Memory(mapped=float(paths.total_size(self.inputs(run, split))))

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        vectors = item_vectors(batch.data, self.embedding)
        if vectors.shape[1] < self.dim:
            raise ValueError(
                f"item vector feature: vectors of {self.embedding} have {vectors.shape[1]} "
                f"numbers; lower dim to that"
            )
        item = batch.candidates.item
        X[:, column : column + self.dim] = vectors[item, : self.dim]
        X[:, column + self.dim] = vectors[item].any(axis=1)
