"""Columns: statistics of the candidate over the events of all sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import polars as pl

from src.core.arrays import F32
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.log_end import log_end
from src.data.sessions import Sessions
from src.data.splits import fitted_split
from src.data.units import DAY, HOUR
from src.features.base import Events, FeatureGroup, Memory, QueryBatch, lower_names
from src.features.item_statistics_kernel import (
    MAX_TYPES,
    WEIGHTS,
    ColumnGroup,
    Mean,
    item_statistics,
)

if TYPE_CHECKING:
    from src.data.recipe import Recipe

RANKED_GROUPS = (ColumnGroup.SESSIONS, ColumnGroup.TYPE_SESSIONS, ColumnGroup.WEIGHT)


def column_groups(types: tuple[str, ...]) -> list[list[str]]:
    """Return the names of the columns of each ColumnGroup, in the order of the members."""
    names = {
        ColumnGroup.EVENTS: [f"events_{t}" for t in types],
        ColumnGroup.SESSIONS: ["sessions"],
        ColumnGroup.TYPE_SESSIONS: [f"sessions_{t}" for t in types],
        ColumnGroup.WEIGHT: [f"weight_{w}" for w in lower_names(WEIGHTS)],
        ColumnGroup.SHARE: [f"share_{t}" for t in types[1:]],
        ColumnGroup.CONVERSION: [f"{a}_to_{b}" for a in types for b in types],
        ColumnGroup.MEAN: [*lower_names(Mean)],
    }
    return [names[group] for group in ColumnGroup]


@dataclass(frozen=True)
class ItemStatisticsFeature(FeatureGroup):
    """Computes counts, weights, conversion rates and means over all sessions with the candidate.

    `ColumnGroup` and `Mean` of item_statistics_kernel.py describe the columns. The events may be
    later than the query (transductive), unless they are those before the window. The columns do not
    depend on the query: a session without an event is no special case.
    """

    made_ahead: ClassVar[bool] = True

    last_days: float | None = None  # of the split, from the end of its log back; None: all events

    def check(self, recipe: Recipe) -> None:
        if len(recipe.types) > MAX_TYPES:
            raise ValueError(f"item statistics: at most {MAX_TYPES} event types")

    def names(self, recipe: Recipe) -> list[str]:
        span = "all" if self.last_days is None else f"{self.last_days:g}d"
        return [f"item_{name}_{span}" for names in column_groups(recipe.types) for name in names]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        names = zip(ColumnGroup, column_groups(recipe.types), strict=True)
        groups = [group for group, of_group in names for _ in of_group]
        return [column for column, group in enumerate(groups) if group in RANKED_GROUPS]

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Return the events of the split that is counted."""
        return [paths.events(run, fitted_split(run, split))]

    def memory(self, run: Run, split: str) -> Memory:
        """Count the table of all items, summed in float64, kept in float32; and the sessions."""
        columns = sum(map(len, column_groups(run.recipe.types)))
        table = 12.0 * columns * count_rows(paths.items(run))
        return Memory(table + Sessions.fitted_memory(run, split))

    def causal(self) -> Self:
        return self

    def statistics(self, batch: QueryBatch) -> F32:
        """Compute the columns of every item: float32 (items, columns)."""
        types, type_weight, data = batch.recipe.types, batch.recipe.type_weight, batch.data

        def make() -> F32:
            s = data.fitted.sessions
            events, ts = Events(s.offsets, s.item, s.ts, s.type), s.ts
            since = 0
            if self.last_days is not None:
                since = log_end(pl.LazyFrame({"ts": ts}), HOUR) - int(self.last_days * DAY)
            groups = np.cumsum([0, *map(len, column_groups(types))])
            weights = np.array(type_weight, np.float64)
            return item_statistics(events, data.n_items, len(types), since, weights, groups)

        return data.cached(("item statistics", self, types, type_weight), make)

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        table = self.statistics(batch)
        X[:, column : column + table.shape[1]] = table[batch.pool.item]
