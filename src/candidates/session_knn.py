"""List items of the most similar sessions: V-SKNN and STAN.

src/candidates/session_knn_kernel.py cites the papers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numba import get_num_threads

from src.candidates import session_knn_kernel as kernel
from src.candidates.base import Retriever
from src.core.arrays import F64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.events_kernel import (
    latest_sessions,
    second_items,
    session_stats,
    sessions_by_second,
)
from src.data.schemas import TopLists
from src.data.split_data import SplitData

NO_WEIGHTS = np.empty(0)
ALL = np.iinfo(np.int32).max  # sessions of an item: of them a query takes the nearest in time
MIN_ITEM_WEIGHT = 1 / 1000  # of an item of a neighbour, by item_decay; lighter items do not count


class KnnIndex(NamedTuple):
    """What all queries of a split are compared with."""

    postings: kernel.Postings
    idf: F64  # weight of each item; empty where the kernel weighs them
    longest: int  # events of the longest session


@dataclass(frozen=True)
class SessionKnnRetriever(Retriever):
    """Lists items of the sessions that are most similar to the query.

    A session of a single item is no neighbour: it takes a place, and adds to an item of the query
    alone. A decay d gives the weight exp(-x / d), where x is a number of events or days.
    """

    neighbours: int = 200  # most similar sessions
    sample_size: int = 1000  # sessions of each item that are compared: the nearest in time
    query_decay: float = 0.0  # of query events, by the number of later events; 0: linear weights
    recency_days: float = 0.0  # of sessions, by the days between session and query; 0: none
    item_decay: float = 0.0  # of items, by the events from the item to the shared item; 0: none
    idf: bool = False  # weight ln(sessions / sessions with the item)
    looks_ahead: bool = True  # sessions count as they are, later events too: transductive
    top: int = 50

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of the sessions of each item, and of each thread's arrays."""
        items, sessions = count_rows(paths.items(run)), count_rows(paths.sessions(run, split))
        events = count_rows(paths.events(run, split))
        postings = (12 if self.looks_ahead else 36) * events
        return postings + 16 * sessions + run.engine.threads * (8 * sessions + 40 * items)

    def causal(self) -> Self:
        """Return the row with neighbours as they were before the query."""
        return replace(self, looks_ahead=False)

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Sum the items of each query's neighbours."""
        s = data.sessions
        index = self._whole(data) if self.looks_ahead else self._before(data)
        postings, longest = index.postings, int(np.diff(s.offsets[first : end + 1]).max())
        max_postings = kernel.max_postings(
            s.offsets, s.item, postings.offsets, self.sample_size, first, end
        )
        max_items = (self.neighbours + 1) * max(index.longest, longest)
        settings = kernel.Settings(
            float(self.neighbours), self.query_decay, self.recency_days,
            self.sample_size, self.idf and not self.looks_ahead,
            min(max_postings, s.n_sessions), min(max_items, s.n_items),
        )  # fmt: skip
        return kernel.knn_lists(
            kernel.Events(s.offsets, s.item, s.ts), first, end, s.own_rows(first, end), postings,
            index.idf, self._distance_decay(), settings, get_num_threads(), self.top,
        )  # fmt: skip

    def _distance_decay(self) -> F64:
        """Return the weight of a neighbour's item by its distance to the shared item."""
        reach = int(-self.item_decay * np.log(MIN_ITEM_WEIGHT)) + 1 if self.item_decay else 0
        return np.exp(-np.arange(reach) / (self.item_decay or 1.0))

    def _whole(self, data: SplitData) -> KnnIndex:
        """Index the sessions of each item as they are, later events included."""

        def make() -> KnnIndex:
            s, none = data.sessions, np.empty(0, np.int32)
            # numpy allocates the copy on huge pages
            stats = session_stats(s.offsets, s.ts).copy()
            second = second_items(s.offsets, s.item)
            offsets, entries, count = latest_sessions(
                s.offsets, s.item, stats, second, s.n_items, ALL
            )
            idf = np.log(max(np.count_nonzero(second >= 0), 2) / np.maximum(count, 1))
            longest = int(np.diff(s.offsets).max(initial=0))
            return KnnIndex(kernel.Postings(offsets, entries, none, none), idf, longest)

        index = data.cached(("sessions of items",), make)
        return index if self.idf else index._replace(idf=NO_WEIGHTS)

    def _before(self, data: SplitData) -> KnnIndex:
        """Index all sessions of each item, by the second at which they had it and another item."""

        def make() -> KnnIndex:
            s = data.sessions
            stats = session_stats(s.offsets, s.ts).copy()
            order = np.argsort(s.ts, kind="stable")
            second = second_items(s.offsets, s.item)
            offsets, entries, met_at = sessions_by_second(
                s.offsets, s.item, s.ts, stats, second, order, s.n_items
            )
            begun = np.sort(s.ts[second[second >= 0]])
            longest = int(np.diff(s.offsets).max(initial=0))
            return KnnIndex(kernel.Postings(offsets, entries, met_at, begun), NO_WEIGHTS, longest)

        return data.cached(("sessions by second",), make)
