"""Agreement: items that the same sessions rate above, or below, what one expects.

Adjusted cosine on residuals: Sarwar et al., "Item-based collaborative filtering", WWW 2001; Koren,
"Factorization meets the neighborhood", KDD 2008.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from scipy import sparse

from src.core.arrays import F64, I64, most_frequent
from src.core.parquet import TableWriter, count_rows
from src.data import paths
from src.data.ratings import Ratings
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.matrices.base import ItemMatrix
from src.matrices.neighbours import NEIGHBOURS, top_of_rows

RANGE = 1_000  # items whose neighbours are made at a time


@dataclass(frozen=True)
class AgreementMatrix(ItemMatrix):
    """Cosine of the residuals (src/data/ratings.py) of two items, over the sessions with both.

    It is multiplied by n / (n + shrinkage) for n such sessions. Only weights above 0 are kept. A
    session's last rating of an item counts.
    """

    shrinkage: float = 50.0
    max_items: int = 10_000  # most frequent items of the split; others have no neighbours
    top_n: int = 100  # neighbours kept: by weight, ties by item id

    @classmethod
    def write(cls, data: SplitData, rows: dict[Path, Self]) -> None:
        """Compute the rows one by one."""
        run, split = data.run, data.split
        for path, row in rows.items():
            n = min(count_rows(paths.items(run)), row.max_items)
            memory = 90 * RANGE * n + 80 * count_rows(paths.events(run, split))
            run.budget.claim(f"{split} {row.name}", memory, 8 * n * min(row.top_n, n))
            with TableWriter(path, NEIGHBOURS) as writer:
                for table in row.tables(data.sessions, Ratings.read(data).residual):
                    writer.add(table)

    def tables(self, s: Sessions, residual: F64) -> Iterator[pl.DataFrame]:
        """Yield NEIGHBOURS, range by range of items; residual: of each event."""
        items = most_frequent(s.count_items(), self.max_items)
        rated, has = _by_session(s, residual, items)
        squares = rated.multiply(rated).tocsr()
        by_item, ones, of_squares = (m.T.tocsr() for m in (rated, has, squares))
        for low in range(0, items.size, RANGE):
            rows = slice(low, low + RANGE)
            both = (ones[rows] @ has).toarray()
            own = (of_squares[rows] @ has).toarray()
            other = (ones[rows] @ squares).toarray()
            product = (by_item[rows] @ rated).toarray()
            length = np.sqrt(np.maximum(own * other, 1e-12))
            weight = product / length * both / np.maximum(both + self.shrinkage, 1.0)
            weight[np.arange(len(weight)), low + np.arange(len(weight))] = 0.0
            yield top_of_rows(weight, self.top_n).to_frame(low, items)


def _by_session(
    s: Sessions, residual: F64, items: I64
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Make matrices (sessions, items): the residuals, and 1 where there is one."""
    number = np.full(s.n_items, -1, np.int64)
    number[items] = np.arange(items.size)
    session = np.repeat(np.arange(s.n_sessions), np.diff(s.offsets))
    kept = np.flatnonzero((number[s.item] >= 0) & ~np.isnan(residual))
    cell = session[kept] * items.size + number[s.item[kept]]
    _, last = np.unique(cell[::-1], return_index=True)
    kept = kept[::-1][last]
    at, shape = (session[kept], number[s.item[kept]]), (s.n_sessions, items.size)
    rated = sparse.csr_matrix((residual[kept], at), shape)
    return rated, sparse.csr_matrix((np.ones(kept.size), at), shape)
