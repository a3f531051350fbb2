"""Columns: RRF score, rank in the pool, rank and score by every retriever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32
from src.features.base import FeatureGroup, QueryBatch, lower_names
from src.features.pool_kernel import PoolColumn, pool_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class PoolFeature(FeatureGroup):
    """Copies the RRF score of the candidate, its rank in the pool, its rank and score by retriever.

    A retriever that did not list the candidate has rank ABSENT and score 0. A session without an
    event is no special case.
    """

    def names(self, recipe: Recipe) -> list[str]:
        retrievers = [retriever.name for retriever in recipe.retrievers]
        ranks, scores = ([f"{column}_{r}" for r in retrievers] for column in ("rank", "score"))
        return [*lower_names(PoolColumn), *ranks, *scores]

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        pool = batch.pool
        pool_columns(pool.offsets, pool.rrf_score, pool.ranks, pool.scores, column, X)
