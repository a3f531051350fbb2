"""Columns: popularity of the candidate, its events in time windows around the query."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from src.core.arrays import F32, I32
from src.core.run import Run
from src.data.units import HOUR
from src.features.base import FeatureGroup, Memory, QueryBatch
from src.features.item_times import TYPE, item_times, item_times_memory
from src.features.popularity_kernel import popularity_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe

FOREVER = int(np.iinfo(np.int32).max)
Windows = tuple[int | None, ...]
"""Lengths in seconds before the query; None: without a limit."""


class WindowCounts(FeatureGroup):
    """Counts events on the candidate in time windows; subclasses say which events count.

    The columns: the counts of the windows, shortest first, then each count divided by the next one
    (the trend). Counts have a rank within the query too. A session without an event has a time too:
    SplitData.query_ts.
    """

    windows: Windows
    lookahead_s: int  # the windows end so many seconds after the query (transductive)

    @abstractmethod
    def label(self, recipe: Recipe) -> str:
        """Return the name of the events that count."""

    @abstractmethod
    def counted_column(self) -> str:
        """Return the column of the events that decides which ones count for a query."""

    @abstractmethod
    def counted_value(self, batch: QueryBatch) -> I32:
        """Return the value of that column that counts, for each query: int32 (queries)."""

    def with_windows(self, windows: Windows, lookahead_s: int) -> Self:
        """Return the row with other windows."""
        return replace(self, windows=windows, lookahead_s=lookahead_s)  # type: ignore[call-arg]

    @property
    def ascending(self) -> list[int]:
        """The lengths of the windows, shortest first."""
        return sorted(FOREVER if window is None else window for window in self.windows)

    def names(self, recipe: Recipe) -> list[str]:
        spans = ["all" if w == FOREVER else f"{w / HOUR:g}h" for w in self.ascending]
        trends = [f"{short}_of_{long}" for short, long in pairwise(spans)]
        ahead = f"_{self.lookahead_s / HOUR:g}h_ahead" if self.lookahead_s else ""
        return [f"popular_{self.label(recipe)}_{span}{ahead}" for span in (*spans, *trends)]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        return range(len(self.windows))

    def memory(self, run: Run, split: str) -> Memory:
        """Count a part of the times by item, which rows of the same column share."""
        counted = self.counted_column()
        rows = [row for row in run.recipe.features if isinstance(row, WindowCounts)]
        sharers = sum(row.counted_column() == counted for row in rows)
        return Memory(item_times_memory(run, split, counted) / max(1, sharers))

    def causal(self) -> Self:
        """Return the row with windows that end at the query."""
        return self.with_windows(self.windows, 0)

    def merge(self, other: FeatureGroup) -> Self | None:
        """Return a row with the windows of both; None unless all other fields are equal."""
        if not isinstance(other, type(self)):
            return None
        if self != other.with_windows(self.windows, other.lookahead_s):
            return None
        windows = tuple(dict.fromkeys((*self.windows, *other.windows)))
        return self.with_windows(windows, self.lookahead_s)

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        times, windows = item_times(batch.data, self.counted_column()), np.array(self.ascending)
        popularity_columns(
            batch.candidates, batch.query_ts, self.counted_value(batch), times, windows,
            self.lookahead_s, column, X,
        )  # fmt: skip


@dataclass(frozen=True)
class PopularityFeature(WindowCounts):
    """Counts the events of one type on the candidate."""

    type: int
    windows: Windows
    lookahead_s: int = 0

    def check(self, recipe: Recipe) -> None:
        if not 0 <= self.type < len(recipe.types):
            raise ValueError(f"popularity feature: no event type {self.type} in {recipe.types}")

    def label(self, recipe: Recipe) -> str:
        return recipe.types[self.type]

    def counted_column(self) -> str:
        return TYPE

    def counted_value(self, batch: QueryBatch) -> I32:
        return np.full(batch.query_ts.size, self.type, np.int32)


@dataclass(frozen=True)
class ContextPopularityFeature(WindowCounts):
    """Counts the events on the candidate that have the query's value of a context column.

    A query without an event has value 0, as where the context is unknown.
    """

    column: str
    windows: Windows
    lookahead_s: int = 0

    def label(self, recipe: Recipe) -> str:
        return f"same_{self.column}"

    def counted_column(self) -> str:
        return self.column

    def counted_value(self, batch: QueryBatch) -> I32:
        return batch.context(self.column)
