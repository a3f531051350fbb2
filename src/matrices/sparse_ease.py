"""Sparse EASE: each item is predicted from the items nearest to it, in a large catalogue.

Steck, "Markov Random Fields for Collaborative Filtering", NeurIPS 2019, arXiv:1910.09645.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numba import get_num_threads
from scipy import sparse

from src.core.arrays import I64, count_items, most_frequent, offsets_of_sizes, positions
from src.core.parquet import TableWriter, count_rows
from src.data import paths
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.matrices import event_index, sparse_ease_kernel, swing_kernel
from src.matrices.base import ItemMatrix
from src.matrices.count import count, row_memory
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.ease import RANGE
from src.matrices.neighbours import NEIGHBOURS
from src.matrices.span import Span


@dataclass(frozen=True)
class SparseEaseMatrix(ItemMatrix):
    """Weights w of item y that minimise |x_y - X_S w|^2 + ridge |w|^2 over its nearest items S.

    X holds 1 where the last events of a session have an item; x_y is the column of y. With n
    sessions that have an item, and c that have both of two, S holds the items with the largest
    c / sqrt((n_x + ridge) (n_y + ridge)). The neighbours of item x are the items y with a weight
    above 0 at x. A pair is known if it is among the `pairs` most frequent of one of its items; all
    others count 0. Where no sessions could have such counts, the ridge of y grows fourfold until
    the equations can be solved. Time grows with the items, and with the cube of `nearest`.
    """

    ridge: float = 50.0  # added to the number of sessions of each item
    max_items: int = 200_000  # most frequent items of the split; others have no neighbours
    nearest: int = 200
    pairs: int = 500
    last_events: int = 100  # of each session
    top_n: int = 200  # neighbours kept: by weight, ties by item id

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ridge == 0:
            raise ValueError(f"matrix {self.name}: ridge is above 0")

    @classmethod
    def write(cls, data: SplitData, rows: dict[Path, Self]) -> None:
        """Compute the rows one by one."""
        run, split = data.run, data.split
        items, events = count_rows(paths.items(run)), count_rows(paths.events(run, split))
        for path, row in rows.items():
            memory = event_index.memory(events, data.n_sessions, items, run.engine.threads)
            memory += 2 * row_memory(items, run.engine.threads)
            fitted = min(items, row.max_items)
            memory += fitted * (60 * row.pairs + 12 * row.nearest)
            run.budget.claim(f"{split} {row.name}", memory, 8 * fitted * min(row.top_n, fitted))
            weights = row.weights(data)
            with TableWriter(path, NEIGHBOURS) as writer:
                for table in top_of(weights, row.top_n):
                    writer.add(table)

    def weights(self, data: SplitData) -> sparse.csr_matrix:
        """Fit the weights: float32 (items, items), of neighbour y, the column, of item x."""
        s = Sessions.load(data.run, data.split)
        size = np.diff(s.offsets)
        last = positions(s.offsets) >= np.repeat(size - self.last_events, size)
        offsets = offsets_of_sizes(np.minimum(size, self.last_events))
        _, listed = swing_kernel.latest_items(offsets, s.item[last], self.last_events)
        sessions = count_items(listed, s.n_items)  # that have the item
        items = most_frequent(sessions, self.max_items)
        pairs = self.pair_counts(data, items)
        size, near, weight = sparse_ease_kernel.fit(
            pairs.indptr.astype(np.int64), pairs.indices, pairs.data,
            sessions[items].astype(np.float64), self.ridge, self.nearest, get_num_threads(),
        )  # fmt: skip
        kept = (np.arange(self.nearest) < size[:, None]) & (weight > 0.0)
        places = items[near[kept]], np.repeat(items, kept.sum(axis=1))
        return sparse.csr_matrix((weight[kept], places), (s.n_items, s.n_items))

    def pair_counts(self, data: SplitData, items: I64) -> sparse.csr_matrix:
        """Count the sessions that have both of two of the items: float32, symmetric, no diagonal.

        Rows and columns are in the order of the items.
        """
        alike = (1.0,) * len(data.run.recipe.types)
        row = CovisitationMatrix(
            self.name, last_events=self.last_events, top_n=self.pairs, source_weight=alike,
            target_weight=alike,
        )  # fmt: skip
        index, span = event_index.of_split(data, None), Span.of(data.run, data.split)
        number = np.full(index.n_items, -1, np.int32)
        number[items] = np.arange(items.size)
        parts = []
        for low, (near,) in count(index, [row], span):
            sizes = np.diff(near.offsets)
            x, y = np.repeat(number[low : low + sizes.size], sizes), number[near.item]
            kept = (x >= 0) & (y >= 0)
            parts.append((x[kept], y[kept], near.weight[kept]))
        x, y, n = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        counts = sparse.csr_matrix((n, (x, y)), (items.size, items.size))
        known = counts.maximum(counts.T).tocsr()
        known.sort_indices()
        return known


def top_of(weights: sparse.csr_matrix, top: int) -> Iterator[pl.DataFrame]:
    """Yield NEIGHBOURS of the heaviest `top` columns of each row, range by range of items."""
    for low in range(0, weights.shape[0], RANGE):
        rows = weights[low : low + RANGE].tocoo()
        table = pl.DataFrame({"item_x": low + rows.row, "item_y": rows.col, "weight": rows.data},
                             schema=NEIGHBOURS)  # fmt: skip
        by = table.sort("item_x", "weight", "item_y", descending=[False, True, False])
        yield by.group_by("item_x", maintain_order=True).head(top).select(NEIGHBOURS.names())
