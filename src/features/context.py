"""Column: context of the session's last event, such as device or region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from src.core.arrays import F32
from src.features.base import FeatureGroup, QueryBatch

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class ContextFeature(FeatureGroup):
    """Copies a context column of the session's last event, such as device or region.

    0 where the context is unknown, and for a session without an event.
    """

    column: str

    def names(self, recipe: Recipe) -> list[str]:
        return [f"context_{self.column}"]

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        X[:, column] = np.repeat(batch.context(self.column), np.diff(batch.pool.offsets))
