"""List the most frequent items of a time window before the query."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from src.candidates import popular_kernel
from src.candidates.base import Retriever
from src.core.arrays import F32, I8, I32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.events_kernel import by_time
from src.data.schemas import TopLists
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.data.splits import counted_split
from src.data.units import DAY, HOUR, Weights

if TYPE_CHECKING:
    from src.data.recipe import Recipe

ALL_TIME = 2**31 - 1  # seconds
SPARSE = 8  # seconds per event, from which on a counter for each second costs more than a sort
WEIGHT_UNIT = 1000  # type weights are rounded to thousandths, as sums of integers are exact


class PopularLists(NamedTuple):
    """Lists of all windows of the split's queries."""

    ends: I64  # second at which each window ends, ascending
    item: I32  # (windows, top)
    score: F32


@dataclass(frozen=True)
class PopularRetriever(Retriever):
    """Lists the most frequent items of a window: seconds end - window_s to end.

    The window ends with the last full bucket before the query, plus lookahead_s. Without window_s,
    all events of the split count, before and after the query (transductive).
    """

    window_s: int | None = 7 * DAY
    bucket_s: int = HOUR  # queries of a bucket share a window
    lookahead_s: int = 0  # above 0: transductive
    type_weight: Weights = (1.0, 1.0, 1.0)
    top: int = 20

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError if weights lack an event type."""
        super().check(recipe)
        recipe.check_weights(f"retriever {self.name}", self.type_weight)

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Return the events, and those of the split that is counted."""
        fitted = paths.events(run, counted_split(run, split))
        return list(dict.fromkeys([*super().inputs(run, split), fitted]))

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of the events by time, and of a count per item."""
        return 9 * count_rows(paths.events(run, split)) + 8 * count_rows(paths.items(run))

    def causal(self) -> Self | None:
        """Return the row with the part of the window before the query; None without such a part."""
        before = ALL_TIME if self.window_s is None else self.window_s - self.lookahead_s
        return replace(self, window_s=before, lookahead_s=0) if before > 0 else None

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Look up the list of each query's window."""
        all_lists = data.cached(("popular", self), lambda: self._all_lists(data))
        ends = self._window_ends(data, first, end)
        if not np.isin(ends, all_lists.ends).all():  # a query that the split does not have
            key, at_hand = ("popular at hand", self), np.unique(ends)
            all_lists = data.cached(key, lambda: self._lists_of(data, at_hand))
            if not np.array_equal(all_lists.ends, at_hand):  # of the query before
                data.forget(key)
                all_lists = data.cached(key, lambda: self._lists_of(data, at_hand))
        window = np.searchsorted(all_lists.ends, ends)
        return all_lists.item[window], all_lists.score[window]

    def _window_ends(self, data: SplitData, first: int, end: int) -> I64:
        """Return the second at which the window of each query ends."""
        if self.window_s is None:
            return np.full(end - first, data.sessions.ts.max(initial=0) + 1, np.int64)
        ts = data.query_ts(first, end).astype(np.int64)
        return ts // self.bucket_s * self.bucket_s + self.lookahead_s

    def _all_lists(self, data: SplitData) -> PopularLists:
        ends = self._window_ends(data, data.first_query, data.n_sessions)
        return self._lists_of(data, np.unique(ends))

    def _lists_of(self, data: SplitData, ends: I64) -> PopularLists:
        """List the items of windows by the seconds at which they end, ascending."""
        s, votes = data.counted.sessions, np.round(np.array(self.type_weight) * WEIGHT_UNIT)
        window = ALL_TIME if self.window_s is None else self.window_s
        ts, item, type_ = _by_time(s, int(ends[0]) - window)
        listed, score = popular_kernel.popular_lists(
            ts, item, type_, votes.astype(np.int64), ends, window, s.n_items, self.top
        )
        return PopularLists(ends, listed, score)


def _by_time(s: Sessions, since: int) -> tuple[I32, I32, I8]:
    """Sort the events from second `since` on by time, as `by_time`; also few ones of many years."""
    since = max(since, int(s.ts.min(initial=ALL_TIME)))
    if int(s.ts.max(initial=0)) - since < SPARSE * s.ts.size:
        return by_time(s.ts, s.item, s.type, since)
    late = np.flatnonzero(s.ts >= since)
    order = late[np.argsort(s.ts[late], kind="stable")]
    return s.ts[order], s.item[order], s.type[order]
