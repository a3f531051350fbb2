"""Columns of the visible session: the same for all its candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32
from src.features.base import Block, FeatureGroup, labels
from src.features.session_kernel import SessionColumn, session_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class SessionFeature(FeatureGroup):
    """Length, items, visits and gaps of the session; events of each type, seconds since the last.

    `since` is -1 for a type that the session lacks. Of a session without an event the counts and
    `again` are 0, hour and weekday are those of the query's time, and all else is -1.
    """

    def names(self, recipe: Recipe) -> list[str]:
        since = [f"since_{type_}" for type_ in recipe.types]
        return [f"session_{name}" for name in (*labels(SessionColumn), *recipe.types, *since)]

    def causal(self) -> Self:
        return self

    def fill(self, block: Block, X: F32, column: int) -> None:
        n_types = len(block.recipe.types)
        session_columns(block.events, block.candidates, block.query_ts, n_types, column, X)
