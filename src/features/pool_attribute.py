"""Columns: how much of a retriever's list shares an attribute with the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import F32
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.features.base import FeatureGroup, Memory, QueryBatch, require_known
from src.features.item_attribute import attribute
from src.features.pool_attribute_kernel import shares

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class PoolAttributeFeature(FeatureGroup):
    """Computes the share of a retriever's scores that other candidates of the same value have.

    As of the artist of a song: a title may say more about artists than about single songs. Scores
    below 0 count as 0. The share is 0 where the value is unknown, and of an empty list. A session
    without an event is no special case.
    """

    column: str  # of items.parquet, numbers
    retrievers: tuple[str, ...]  # a column each

    def check(self, recipe: Recipe) -> None:
        known = [row.name for row in recipe.retrievers]
        require_known(f"pool attribute {self.column}", self.retrievers, known)

    def names(self, recipe: Recipe) -> list[str]:
        return [f"{retriever}_same_{self.column}" for retriever in self.retrievers]

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.items(run)]

    def memory(self, run: Run, split: str) -> Memory:
        """Count a float64 per item."""
        return Memory(8.0 * count_rows(paths.items(run)))

    def causal(self) -> None:
        """Return None, as `--causal` may drop the retrievers."""

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        rows = [row.name for row in batch.recipe.retrievers]
        lists = np.array([rows.index(name) for name in self.retrievers], np.int64)
        values = attribute(batch.data, self.column)[batch.pool.item]
        shares(batch.pool.offsets, values, batch.pool.scores, lists, column, X)
