"""Columns of the popularity of the candidate: its events in time windows around the query."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from src.core.arrays import F32, I32
from src.data.units import HOUR
from src.features.base import Block, FeatureGroup
from src.features.item_times import TYPE, item_times
from src.features.popularity_kernel import popularity_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe

FOREVER = int(np.iinfo(np.int32).max)
Windows = tuple[int | None, ...]
"""Seconds before the query; None: all that is before it."""


class WindowCounts(FeatureGroup):
    """Events on the candidate in ascending windows, then the share of each in the next: the trend.

    Each count has a rank within the query too. A kind adds which events count for a query. The
    windows of a session without an event lie around its query's time.
    """

    windows: Windows
    lookahead_s: int  # the windows end so many seconds behind the query: transductive

    @abstractmethod
    def label(self, recipe: Recipe) -> str:
        """Name of the events that count."""

    @abstractmethod
    def counted_column(self) -> str:
        """Column of the events by whose value they count."""

    @abstractmethod
    def counted_value(self, block: Block) -> I32:
        """The value of that column that counts for each query."""

    @abstractmethod
    def with_windows(self, windows: Windows, lookahead_s: int) -> Self:
        """The row with other windows."""

    @property
    def ascending(self) -> list[int]:
        return sorted(FOREVER if window is None else window for window in self.windows)

    def names(self, recipe: Recipe) -> list[str]:
        spans = ["all" if w == FOREVER else f"{w / HOUR:g}h" for w in self.ascending]
        trends = [f"{short}_of_{long}" for short, long in pairwise(spans)]
        ahead = f"_{self.lookahead_s / HOUR:g}h_ahead" if self.lookahead_s else ""
        return [f"popular_{self.label(recipe)}_{span}{ahead}" for span in (*spans, *trends)]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        return range(len(self.windows))

    def causal(self) -> Self:
        """The same windows, up to the query."""
        return self.with_windows(self.windows, 0)

    def merge(self, other: FeatureGroup) -> Self | None:
        """One row with the windows of both, where only these differ."""
        if not isinstance(other, type(self)):
            return None
        if self != other.with_windows(self.windows, other.lookahead_s):
            return None
        windows = tuple(dict.fromkeys((*self.windows, *other.windows)))
        return self.with_windows(windows, self.lookahead_s)

    def fill(self, block: Block, X: F32, column: int) -> None:
        times, windows = item_times(block.data, self.counted_column()), np.array(self.ascending)
        popularity_columns(
            block.candidates, block.query_ts, self.counted_value(block), times, windows,
            self.lookahead_s, column, X,
        )  # fmt: skip


@dataclass(frozen=True)
class PopularityFeature(WindowCounts):
    """Events of one type on the candidate."""

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

    def counted_value(self, block: Block) -> I32:
        return np.full(block.query_ts.size, self.type, np.int32)

    def with_windows(self, windows: Windows, lookahead_s: int) -> Self:
        return replace(self, windows=windows, lookahead_s=lookahead_s)


@dataclass(frozen=True)
class ContextPopularityFeature(WindowCounts):
    """Events on the candidate with the query's own value of a context column.

    The value of a session without an event is 0, which stands for an unknown one.
    """

    column: str
    windows: Windows
    lookahead_s: int = 0

    def label(self, recipe: Recipe) -> str:
        return f"same_{self.column}"

    def counted_column(self) -> str:
        return self.column

    def counted_value(self, block: Block) -> I32:
        return block.context(self.column)

    def with_windows(self, windows: Windows, lookahead_s: int) -> Self:
        return replace(self, windows=windows, lookahead_s=lookahead_s)
