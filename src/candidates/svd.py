"""List items by the principal axes of the sessions' items: PureSVD.

Cremonesi, Koren and Turrin, "Performance of Recommender Algorithms on Top-N Recommendation Tasks",
RecSys 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from src.candidates.base import Retriever
from src.candidates.text_knn import items_of_sessions
from src.core import nearest
from src.core.arrays import F32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.split_data import SplitData


class Factors(NamedTuple):
    """Axes of the items, ascending: as parts of a query, and as candidates, (items, factors)."""

    item: I64
    query: F32
    candidate: F32


@dataclass(frozen=True)
class SvdRetriever(Retriever):
    """Lists the items nearest to the sum of the query's items in a truncated SVD.

    The SVD is that of the matrix (sessions, items) with 1 / (sessions with the item) ** item_norm /
    sqrt(items of the session) where a session has an item. Sessions that are no query count. A
    query without a known item gets an empty list.
    """

    factors: int = 200
    item_norm: float = 0.3
    min_sessions: int = 2  # of a known item
    top: int = 255

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of the matrix, and of the vectors of items and sessions."""
        rows = 3 * count_rows(paths.items(run)) + count_rows(paths.sessions(run, split))
        return 40 * count_rows(paths.events(run, split)) + 12.0 * self.factors * rows

    def causal(self) -> None:
        """Return None, as the axes depend on the whole split."""

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Search the items nearest to the sum of each query's items."""
        known = data.cached(("svd", self), lambda: self._factors(data))
        s = data.sessions
        number = np.full(s.n_items, -1, np.int64)
        number[known.item] = np.arange(known.item.size)
        events = slice(s.offsets[first], s.offsets[end])
        query = np.repeat(np.arange(end - first), np.diff(s.offsets[first : end + 1]))
        pairs = np.unique(np.stack([query, number[s.item[events]]]), axis=1)
        row, column = pairs[:, pairs[1] >= 0]
        shape = (end - first, known.item.size)
        shown = sparse.csr_matrix((np.ones(row.size, np.float32), (row, column)), shape)
        vectors = shown @ known.query
        index, score = nearest.nearest(vectors, known.candidate, self.top)
        listed = (index >= 0) & (score > 0)
        item = known.item[index].astype(np.int32) if known.item.size else index
        return np.where(listed, item, np.int32(-1)), np.where(listed, score, np.float32(0))

    def _factors(self, data: SplitData) -> Factors:
        from sklearn.utils.extmath import randomized_svd

        has = data.cached(("items of sessions",), lambda: items_of_sessions(data))
        count = np.asarray(has.sum(axis=0)).ravel()
        item = np.flatnonzero(count >= self.min_sessions)
        size = np.maximum(np.asarray(has.sum(axis=1)).ravel(), 1)
        weight = 1 / count[item] ** self.item_norm
        matrix = sparse.diags(size**-0.5) @ has[:, item] @ sparse.diags(weight)
        n = min(self.factors, *matrix.shape)
        if n == 0:
            nothing = np.zeros((0, self.factors), np.float32)
            return Factors(item, nothing, nothing)
        with threadpool_limits(1):  # threads change the rounding
            _, value, axes = randomized_svd(matrix, n, n_iter=3, random_state=0)
        scaled = axes.T * np.sqrt(value)
        parts = scaled * weight[:, None], axes.T / weight[:, None]
        return Factors(item, *(np.ascontiguousarray(part, np.float32) for part in parts))
