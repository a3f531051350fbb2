"""Columns: RRF score, rank in the pool, rank and score by every retriever."""

from __future__ import annotations

from dataclasses import dataclass
from enum import CONTINUOUS, UNIQUE, IntEnum, verify
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32, positions
from src.features.base import FeatureGroup, QueryBatch, lower_names

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@verify(UNIQUE, CONTINUOUS)
class PoolColumn(IntEnum):
    """Columns of the candidate in the pool; the columns of the retrievers stand after them."""

    RRF_SCORE = 0
    POOL_RANK = 1


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
        pool, n_retrievers = batch.pool, batch.pool.ranks.shape[1]
        X[:, column + PoolColumn.RRF_SCORE] = pool.rrf_score
        X[:, column + PoolColumn.POOL_RANK] = positions(pool.offsets)
        ranks = column + len(PoolColumn)
        scores = ranks + n_retrievers
        # ABSENT, not NaN: missing values make XGBoost's histograms sparse and slow
        X[:, ranks:scores] = pool.ranks
        X[:, scores : scores + n_retrievers] = pool.scores
