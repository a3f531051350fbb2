"""Columns: the events of the session on the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32
from src.features.base import WEIGHTINGS, FeatureGroup, QueryBatch, lower_names
from src.features.session_item_kernel import SessionItemColumn, session_item_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class SessionItemFeature(FeatureGroup):
    """Describes the events of the session on the candidate: counts, recency, sum of their weights.

    Where there is no such event, counts and weights are 0 and all else is -1; so in a session
    without an event. Only the last HISTORY_EVENTS events of the session have a weight.
    """

    def names(self, recipe: Recipe) -> list[str]:
        names = [
            *lower_names(SessionItemColumn), *recipe.types, *(f"since_{t}" for t in recipe.types),
            *(f"weight_{weighting}" for weighting in WEIGHTINGS),
        ]  # fmt: skip
        return [f"session_item_{name}" for name in names]

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        session_item_columns(
            batch.events, batch.candidates, batch.query_ts, batch.history,
            len(batch.recipe.types), column, X,
        )  # fmt: skip
