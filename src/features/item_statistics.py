"""Columns of what all sessions did with the candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import F32
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.units import DAY
from src.features.base import Block, FeatureGroup, Memory, labels
from src.features.item_statistics_kernel import (
    MAX_TYPES,
    WEIGHTS,
    Group,
    Mean,
    item_statistics,
    table_columns,
)

if TYPE_CHECKING:
    from src.data.recipe import Recipe

RANKED = (Group.SESSIONS, Group.TYPE_SESSIONS, Group.WEIGHT)


def column_groups(types: tuple[str, ...]) -> list[list[str]]:
    """Names of the columns of every Group, in its order."""
    names = {
        Group.EVENTS: [f"events_{t}" for t in types],
        Group.SESSIONS: ["sessions"],
        Group.TYPE_SESSIONS: [f"sessions_{t}" for t in types],
        Group.WEIGHT: [f"weight_{w}" for w in labels(WEIGHTS)],
        Group.SHARE: [f"share_{t}" for t in types[1:]],
        Group.CONVERSION: [f"{a}_to_{b}" for a in types for b in types],
        Group.MEAN: [*labels(Mean)],
    }
    return [names[group] for group in Group]


@dataclass(frozen=True)
class ItemStatisticsFeature(FeatureGroup):
    """Counts, weights, conversion and means over all sessions with the candidate.

    `Group` and `Mean` of item_statistics_kernel.py describe the columns. They count all visible
    events, or those of the last days of the split's own history: transductive. They are the same
    for every query, with or without events.
    """

    last_days: float | None = None

    def check(self, recipe: Recipe) -> None:
        if len(recipe.types) > MAX_TYPES:
            raise ValueError(f"item statistics: at most {MAX_TYPES} event types")

    def names(self, recipe: Recipe) -> list[str]:
        span = "all" if self.last_days is None else f"{self.last_days:g}d"
        return [f"item_{name}_{span}" for names in column_groups(recipe.types) for name in names]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        groups = [group for group, names in zip(Group, column_groups(recipe.types), strict=True)
                  for _ in names]  # fmt: skip
        return [column for column, group in enumerate(groups) if group in RANKED]

    def memory(self, run: Run, split: str) -> Memory:
        """The table of all items: summed in float64, kept in float32."""
        columns = sum(map(len, column_groups(run.recipe.types)))
        return Memory(12.0 * columns * count_rows(paths.items(run)))

    def causal(self) -> None:
        """Nothing: the statistics are those of the whole split."""

    def statistics(self, block: Block) -> F32:
        """The columns of every item."""
        types, type_weight, data = block.recipe.types, block.recipe.type_weight, block.data

        def make() -> F32:
            ts = data.sessions.ts
            since = 0 if self.last_days is None else int(ts.max() - self.last_days * DAY)
            groups = np.cumsum([0, *map(len, column_groups(types))])
            weights = np.array(type_weight, np.float64)
            return item_statistics(block.events, data.n_items, len(types), since, weights, groups)

        return data.cached(("item statistics", self, types, type_weight), make)

    def fill(self, block: Block, X: F32, column: int) -> None:
        table_columns(block.pool.item, self.statistics(block), column, X)
