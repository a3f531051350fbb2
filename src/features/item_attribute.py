"""Columns of an attribute of the candidate: alone, and beside the items of the history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from src.core.arrays import F32, F64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.features.base import Block, FeatureGroup, Memory, labels, require_known
from src.features.item_attribute_kernel import Relation, attribute_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe

RELATIONS = labels(Relation)


@dataclass(frozen=True)
class ItemAttributeFeature(FeatureGroup):
    """A number known of the candidate (a column of items.parquet), in relations to the history.

    Unknown numbers are -1e9. A session without an event has no last item and no mean: the columns
    that need them are -1e9, same_last and share are 0.
    """

    column: str
    relations: tuple[str, ...] = ("value",)

    def __post_init__(self) -> None:
        require_known(f"item attribute {self.column}", self.relations, RELATIONS)

    def names(self, recipe: Recipe) -> list[str]:
        return [f"{self.column}_{relation}" for relation in self.relations]

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.items(run)]

    def memory(self, run: Run, split: str) -> Memory:
        """A float64 per item."""
        return Memory(8.0 * count_rows(paths.items(run)))

    def causal(self) -> Self:
        return self

    def attribute(self, data: SplitData) -> F64:
        """The number of every item; NaN where it is unknown."""

        def make() -> F64:
            return data.items[self.column].cast(pl.Float64).to_numpy()

        return data.cached(("item attribute", self.column), make)

    def fill(self, block: Block, X: F32, column: int) -> None:
        relations = np.array([Relation[name.upper()] for name in self.relations], np.int64)
        attribute_columns(
            block.events, block.candidates, block.query_ts, self.attribute(block.data), relations,
            column, X,
        )  # fmt: skip
