"""Columns: context of the list, such as device, hour or its length."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from src.core.arrays import F32
from src.core.run import Run
from src.data import paths
from src.features.base import FeatureGroup, QueryBatch
from src.features.keyed_log import query_column

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class ImpressionFeature(FeatureGroup):
    """Copies context columns of the impression, which its candidates share; NaN where unknown."""

    columns: tuple[str, ...]  # of IMPRESSIONS, after its first ones

    def names(self, recipe: Recipe) -> list[str]:
        return [f"impression_{name}" for name in self.columns]

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.impressions(run, split)]

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        for number, name in enumerate(self.columns):
            X[:, column + number] = query_column(batch, name)
