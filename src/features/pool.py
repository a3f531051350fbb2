"""Columns of the pool: the fused score, the rank in the pool, rank and score of every retriever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32
from src.features.base import Block, FeatureGroup, labels
from src.features.pool_kernel import PoolColumn, pool_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class PoolFeature(FeatureGroup):
    """The RRF score of the candidate, its rank in the pool, its rank and score by retriever.

    A retriever that did not propose the candidate has rank 255 and score 0. All of it comes from
    the pool: a session without an event is no special case.
    """

    def names(self, recipe: Recipe) -> list[str]:
        retrievers = [retriever.name for retriever in recipe.retrievers]
        ranks, scores = ([f"{what}_{r}" for r in retrievers] for what in ("rank", "score"))
        return [*labels(PoolColumn), *ranks, *scores]

    def causal(self) -> Self:
        return self

    def fill(self, block: Block, X: F32, column: int) -> None:
        pool = block.pool
        pool_columns(pool.offsets, pool.rrf_score, pool.ranks, pool.scores, column, X)
