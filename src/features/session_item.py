"""Columns of what the session already did with the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32
from src.features.base import WEIGHTINGS, Block, FeatureGroup, labels
from src.features.session_item_kernel import SessionItemColumn, session_item_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class SessionItemFeature(FeatureGroup):
    """Events of the session on the candidate: counts, recency, and their weight per weighting.

    Counts and weights are 0, and all else is -1, where the session has no event on the candidate:
    everywhere, of a session without an event. Weights count the last HISTORY_EVENTS events.
    """

    def names(self, recipe: Recipe) -> list[str]:
        names = [
            *labels(SessionItemColumn), *recipe.types, *(f"since_{t}" for t in recipe.types),
            *(f"weight_{weighting}" for weighting in WEIGHTINGS),
        ]  # fmt: skip
        return [f"session_item_{name}" for name in names]

    def causal(self) -> Self:
        return self

    def fill(self, block: Block, X: F32, column: int) -> None:
        session_item_columns(
            block.events, block.candidates, block.query_ts, block.history,
            len(block.recipe.types), column, X,
        )  # fmt: skip
