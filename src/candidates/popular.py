"""Propose the most frequent items of a time window before the query."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from src.candidates import popular_kernel
from src.candidates.base import Retriever
from src.core.arrays import F32, I32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.events_kernel import by_time
from src.data.schemas import TopLists
from src.data.split_data import SplitData
from src.data.units import DAY, HOUR, Weights

if TYPE_CHECKING:
    from src.data.recipe import Recipe

WEIGHT_UNIT = 1000  # type weights are counted in thousandths: sums of whole numbers are exact


class PopularLists(NamedTuple):
    """The list of every window that a query of the split needs."""

    ends: I64  # second at which the window ends, ascending
    item: I32  # (windows, top)
    score: F32


@dataclass(frozen=True)
class PopularRetriever(Retriever):
    """The most frequent items of the seconds before the query, or a little after it."""

    window_s: int = 7 * DAY
    bucket_s: int = HOUR  # the window ends at the last whole bucket before the query
    lookahead_s: int = 0  # later than that: transductive
    type_weight: Weights = (1.0, 1.0, 1.0)
    top: int = 20

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where weights lack an event type."""
        super().check(recipe)
        recipe.check_weights(f"retriever {self.name}", self.type_weight)

    def memory(self, run: Run, split: str) -> float:
        """The events by time, and a count per item."""
        return 9 * count_rows(paths.events(run, split)) + 8 * count_rows(paths.items(run))

    def causal(self) -> Self:
        """The part of the window that lies before the query."""
        return replace(self, window_s=self.window_s - self.lookahead_s, lookahead_s=0)

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Look up the list of the window before each query."""
        known = data.cached(("popular", self), lambda: self._all_lists(data))
        window = np.searchsorted(known.ends, self._window_end(data.query_ts(first, end)))
        return known.item[window], known.score[window]

    def _window_end(self, ts: I32) -> I64:
        return ts.astype(np.int64) // self.bucket_s * self.bucket_s + self.lookahead_s

    def _all_lists(self, data: SplitData) -> PopularLists:
        s, votes = data.sessions, np.round(np.array(self.type_weight) * WEIGHT_UNIT)
        ends = np.unique(self._window_end(data.query_ts(data.first_query, data.n_sessions)))
        ts, item, type_ = by_time(s.ts, s.item, s.type, int(ends[0]) - self.window_s)
        listed, score = popular_kernel.popular_lists(
            ts, item, type_, votes.astype(np.int64), ends, self.window_s, s.n_items, self.top
        )
        return PopularLists(ends, listed, score)
