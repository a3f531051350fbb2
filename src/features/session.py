"""Columns: the visible session, the same for all candidates of a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32
from src.features.base import FeatureGroup, QueryBatch, lower_names
from src.features.session_kernel import SessionColumn, session_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class SessionFeature(FeatureGroup):
    """Describes the session: events, items, visits and gaps; events and recency of each type.

    `since_<type>` is -1 without an event of the type. A session without an event has counts of 0,
    `again` of 0, hour and weekday of SplitData.query_ts, and -1 elsewhere.
    """

    def names(self, recipe: Recipe) -> list[str]:
        since = [f"since_{type_}" for type_ in recipe.types]
        return [f"session_{name}" for name in (*lower_names(SessionColumn), *recipe.types, *since)]

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        n_types = len(batch.recipe.types)
        session_columns(batch.events, batch.candidates, batch.query_ts, n_types, column, X)
