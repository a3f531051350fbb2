"""EASE: the linear model that predicts each item of a session from its others, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, arXiv:1905.03375.
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
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.matrices.base import ItemMatrix
from src.matrices.neighbours import NEIGHBOURS, top_of_rows

RANGE = 1_000  # items whose products, or neighbours, are made at a time


@dataclass(frozen=True)
class EaseMatrix(ItemMatrix):
    """Weights B that minimise |X - X B|^2 + ridge |B|^2 with a diagonal of 0.

    X holds 1 where a session has an item, however often. With P = inverse(X'X + ridge I), the
    weight of neighbour y of item x is -P[x, y] / P[y, y]. Only weights above 0 are neighbours: a
    retriever adds shares, which have no sign.
    """

    ridge: float = 1_000.0  # added to the number of sessions of each item
    max_items: int = 10_000  # most frequent items of the split; others have no neighbours
    top_n: int = 200  # neighbours kept: by weight, ties by item id

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ridge == 0:
            raise ValueError(f"matrix {self.name}: ridge is above 0")

    @classmethod
    def write(cls, data: SplitData, rows: dict[Path, Self]) -> None:
        """Compute the rows one by one."""
        run, split = data.run, data.split
        n_items, n_events = count_rows(paths.items(run)), count_rows(paths.events(run, split))
        column = pl.scan_parquet(paths.events(run, split)).select("item")
        counts = column.group_by("item").len("n").collect(engine="streaming")["n"].sort()
        for path, row in rows.items():
            n = min(n_items, row.max_items)
            read = 22 * n_events + 48 * int(counts.tail(n).sum())
            memory = 24 * n * n + 36 * RANGE * n + read + 8 * n_items
            run.budget.claim(f"{split} {row.name}", memory, 8 * n * min(row.top_n, n))
            with TableWriter(path, NEIGHBOURS) as writer:
                for table in row.tables(Sessions.load(run, split), run.engine.device):
                    writer.add(table)

    def tables(self, s: Sessions, device: str = "cpu") -> Iterator[pl.DataFrame]:
        """Yield NEIGHBOURS, range by range of items."""
        items = most_frequent(s.count_items(), self.max_items)
        gram = products(s, items)
        gram[np.diag_indices(items.size)] += self.ridge
        inverse = inverted(gram, device)
        scale = -1.0 / inverse.diagonal()
        for low in range(0, items.size, RANGE):
            weight = (inverse[low : low + RANGE] * scale).astype(np.float32)
            own = np.arange(len(weight))
            weight[own, low + own] = 0.0
            yield top_of_rows(weight, self.top_n).to_frame(low, items)


def products(s: Sessions, items: I64) -> F64:
    """Count the sessions that have both items of each pair: float64 (items, items).

    Counts are exact in float64, in whatever order they are summed.
    """
    number = np.full(s.n_items, -1, np.int32)
    number[items] = np.arange(items.size)
    kept = np.flatnonzero(number[s.item] >= 0)
    session = (np.searchsorted(s.offsets, kept, "right") - 1).astype(np.int32)
    ones, column = np.ones(kept.size, np.int32), number[s.item[kept]]
    has = sparse.csr_matrix((ones, (session, column)), (s.n_sessions, items.size))
    has.sum_duplicates()
    has.data[:] = 1  # however often
    by_item = has.T.tocsr()
    gram = np.empty((items.size, items.size), np.float64)
    for low in range(0, items.size, RANGE):
        gram[low : low + RANGE] = (by_item[low : low + RANGE] @ has).toarray()
    return gram


def inverted(gram: F64, device: str) -> F64:
    """Invert a symmetric, positive definite matrix with one thread, or on a GPU.

    The threads of LAPACK change the rounding, and so the bytes.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        factor = torch.linalg.cholesky(torch.from_numpy(gram).to(device))
        return np.asarray(torch.cholesky_inverse(factor).cpu().numpy())
    finally:
        torch.set_num_threads(threads)
