"""A column of the context of the session's last event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from src.core.arrays import F32
from src.features.base import Block, FeatureGroup

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class ContextFeature(FeatureGroup):
    """A context column of the session's last event: where, and on what, it happened.

    0 where it is unknown, as of a session without an event.
    """

    column: str

    def names(self, recipe: Recipe) -> list[str]:
        return [f"context_{self.column}"]

    def causal(self) -> Self:
        return self

    def fill(self, block: Block, X: F32, column: int) -> None:
        X[:, column] = np.repeat(block.context(self.column), np.diff(block.pool.offsets))
