"""Propose items of the most similar sessions: V-SKNN and STAN.

src/candidates/session_knn_kernel.py has the papers and the loops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import get_num_threads

from src.candidates import session_knn_kernel as kernel
from src.candidates.base import Retriever
from src.core.arrays import F64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.events_kernel import latest_sessions, session_stats
from src.data.schemas import TopLists
from src.data.split_data import SplitData

NEGLIGIBLE = 1000  # items of a neighbour that would weigh less than 1 / this do not count


@dataclass(frozen=True)
class SessionKnnRetriever(Retriever):
    """Items of the sessions that share most with the query."""

    neighbours: int = 200  # sessions
    sample_size: int = 1000  # the latest sessions of each item that are looked at
    query_decay: float = 0.0  # events; weight of a query event exp(-back / decay), 0: linear
    recency_days: float = 0.0  # weight of a session exp(-age / days), 0: none
    item_decay: float = 0.0  # weight of an item exp(-distance to the shared one / decay), 0: none
    idf: bool = False  # times ln(sessions / sessions with the item)
    top: int = 50

    def memory(self, run: Run, split: str) -> float:
        """The latest sessions of each item, and two hash tables per thread."""
        items, sessions = count_rows(paths.items(run)), count_rows(paths.sessions(run, split))
        postings = 12 * min(count_rows(paths.events(run, split)), items * self.sample_size)
        return postings + 16 * sessions + run.engine.threads * (8 * sessions + 40 * items)

    def causal(self) -> None:
        """Nothing: neighbours are sessions of the whole split."""

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Gather the items of each query's neighbours."""
        s = data.sessions
        offsets, postings, count = self._postings(data)
        idf = np.log(max(s.n_sessions, 2) / np.maximum(count, 1)) if self.idf else np.empty(0)
        met = kernel.most_met(s.offsets, s.item, offsets, first, end)
        items = (self.neighbours + 1) * int(np.diff(s.offsets).max())
        how = kernel.Settings(
            float(self.neighbours), self.query_decay, self.recency_days,
            min(met, s.n_sessions), min(items, s.n_items),
        )  # fmt: skip
        return kernel.knn_lists(
            kernel.Events(s.offsets, s.item, s.ts), first, end, kernel.Postings(offsets, postings),
            idf, self._decay(), how, get_num_threads(), self.top,
        )  # fmt: skip

    def _decay(self) -> F64:
        """Weight of a neighbour's item by its distance to the shared one."""
        reach = int(self.item_decay * np.log(NEGLIGIBLE)) + 1 if self.item_decay else 0
        return np.exp(-np.arange(reach) / (self.item_decay or 1.0))

    def _postings(self, data: SplitData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The latest sessions of each item (src/data/events_kernel.py)."""

        def make() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            s = data.sessions
            # a copy made by numpy lies on huge pages
            stats = session_stats(s.offsets, s.ts).copy()
            return latest_sessions(s.offsets, s.item, stats, s.n_items, self.sample_size)

        return data.cached(("latest sessions", self.sample_size), make)
