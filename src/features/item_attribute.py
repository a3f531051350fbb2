"""Columns: an attribute of the candidate, alone and compared with items of the session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from src.core.arrays import F32, F64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.features.base import FeatureGroup, Memory, QueryBatch, lower_names, require_known
from src.features.item_attribute_kernel import Relation, attribute_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe

RELATIONS = lower_names(Relation)


@dataclass(frozen=True)
class ItemAttributeFeature(FeatureGroup):
    """Takes an attribute of the candidate, and compares it with the session's items.

    Where a value is unknown, columns are -1e9, same_last and share are 0. A session without an
    event has no last item and no mean: these are unknown.
    """

    column: str  # of items.parquet
    relations: tuple[str, ...] = ("value",)  # of RELATIONS: a column each

    def __post_init__(self) -> None:
        require_known(f"item attribute {self.column}", self.relations, RELATIONS)

    def names(self, recipe: Recipe) -> list[str]:
        return [f"{self.column}_{relation}" for relation in self.relations]

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.items(run)]

    def memory(self, run: Run, split: str) -> Memory:
        """Count a float64 per item."""
        return Memory(8.0 * count_rows(paths.items(run)))

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        relations = np.array([Relation[name.upper()] for name in self.relations], np.int64)
        attribute_columns(
            batch.events, batch.candidates, batch.query_ts, attribute(batch.data, self.column),
            relations, column, X,
        )  # fmt: skip


def attribute(data: SplitData, column: str) -> F64:
    """Return an attribute of every item, float64 (items); NaN where it is unknown."""
    return data.cached(("item attribute", column), lambda: data.attribute(column))
