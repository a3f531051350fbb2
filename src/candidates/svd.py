"""List items by the principal axes of the sessions' items: PureSVD.

Cremonesi, Koren and Turrin, "Performance of Recommender Algorithms on Top-N Recommendation Tasks",
RecSys 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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

if TYPE_CHECKING:
    from src.data.recipe import Recipe


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
    query without a known item gets an empty list. With `start`, the list of that row, weighted by
    its scores, stands for the items of the query: so a text gets a list too.
    """

    factors: int = 200
    item_norm: float = 0.3
    min_sessions: int = 2  # of a known item
    start: Retriever | None = None
    top: int = 255

    @property
    def tables(self) -> tuple[str, ...]:
        return () if self.start is None else self.start.tables

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where the row to start from does not fit the recipe."""
        super().check(recipe)
        if self.start is not None:
            self.start.check(recipe)

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Return the events, and the files of the row to start from."""
        return super().inputs(run, split) if self.start is None else self.start.inputs(run, split)

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of the matrix, and of the vectors of items and sessions."""
        rows = 3 * count_rows(paths.items(run)) + count_rows(paths.sessions(run, split))
        started = self.start.memory(run, split) if self.start is not None else 0.0
        return started + 40 * count_rows(paths.events(run, split)) + 30.0 * self.factors * rows

    def causal(self) -> None:
        """Return None, as the axes are those of all sessions of the split."""

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Search the items nearest to the sum of each query's items."""
        key = "svd", self.factors, self.item_norm, self.min_sessions
        known = data.cached(key, lambda: self._factors(data))
        shown = self._shown(data, first, end)[:, known.item]
        vectors = np.ascontiguousarray(shown @ known.query, np.float32)
        index, score = nearest.nearest(vectors, known.candidate, self.top)
        listed = (index >= 0) & (score > 0)
        item = known.item[index].astype(np.int32) if known.item.size else index
        return np.where(listed, item, np.int32(-1)), np.where(listed, score, np.float32(0))

    def _shown(self, data: SplitData, first: int, end: int) -> sparse.csr_matrix:
        """Weigh the items that stand for each query: 1, or scores; (queries, items)."""
        s = data.sessions
        if self.start is None:
            part = slice(s.offsets[first], s.offsets[end])
            row = np.repeat(np.arange(end - first), np.diff(s.offsets[first : end + 1]))
            row, item = np.unique(np.stack([row, s.item[part]]), axis=1)
            weight = np.ones(row.size)
        else:
            listed, score = self.start.lists(data, first, end)
            row, rank = np.nonzero(listed >= 0)
            item, weight = listed[row, rank], score[row, rank].astype(np.float64)
        return sparse.csr_matrix((weight, (row, item)), (end - first, s.n_items))

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
