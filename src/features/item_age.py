"""Columns of the age of the candidate: seconds since its first and its latest event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32
from src.features.base import Block, FeatureGroup, labels
from src.features.item_age_kernel import SeenColumn, seen_columns
from src.features.item_times import item_times

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class ItemAgeFeature(FeatureGroup):
    """Seconds from the first and from the latest event on the candidate, by anyone, to the query.

    -1 where the candidate has no event before the query. SplitData.query_ts is the query's time,
    also that of a session without an event.
    """

    def names(self, recipe: Recipe) -> list[str]:
        return [f"seen_{name}" for name in labels(SeenColumn)]

    def causal(self) -> Self:
        return self

    def fill(self, block: Block, X: F32, column: int) -> None:
        seen_columns(block.candidates, block.query_ts, item_times(block.data), column, X)
