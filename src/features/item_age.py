"""Columns: seconds since the first and since the latest event on the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32
from src.features.base import FeatureGroup, QueryBatch, lower_names
from src.features.item_age_kernel import SeenColumn, seen_columns
from src.features.item_times import item_times

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class ItemAgeFeature(FeatureGroup):
    """Measures seconds from the candidate's first and latest event, in any session, to the query.

    Only events before the query count; -1 without one. A session without an event has a time too:
    SplitData.query_ts.
    """

    def names(self, recipe: Recipe) -> list[str]:
        return [f"seen_{name}" for name in lower_names(SeenColumn)]

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        seen_columns(batch.candidates, batch.query_ts, item_times(batch.data), column, X)
