"""Swing: items that pairs of sessions have in common (Yang et al., 2020, arXiv:2010.05525)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numba import get_num_threads

from src.core.arrays import offsets_of_sizes
from src.core.parquet import TableWriter, count_rows
from src.data import paths
from src.data.events_kernel import BEGIN, latest_sessions, second_items, session_stats
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.matrices import swing_kernel
from src.matrices.base import ItemMatrix
from src.matrices.neighbours import NEIGHBOURS, Neighbours

RANGE = 10_000  # items whose neighbours are counted and written at a time


@dataclass(frozen=True)
class SwingMatrix(ItemMatrix):
    """Sum of the votes of session pairs that have both items.

    A pair of sessions with n common items votes 1 / (alpha + n), divided by the square root of the
    product of their numbers of items. So sessions with few items, and few in common, weigh more.
    """

    alpha: float = 1.0
    max_sessions: int = 100  # latest sessions of each item that are paired
    max_items: int = 100  # latest different items of each session
    top_n: int = 40  # neighbours kept: by weight, ties by item id

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha == 0:
            raise ValueError(f"matrix {self.name}: alpha is above 0")

    @classmethod
    def write(cls, data: SplitData, rows: dict[Path, Self]) -> None:
        """Count the rows one by one."""
        run, split = data.run, data.split
        items, events = count_rows(paths.items(run)), count_rows(paths.events(run, split))
        for path, row in rows.items():
            memory = 24 * events + 24 * data.n_sessions
            memory += 12 * items * (row.max_sessions + run.engine.threads)
            run.budget.claim(f"{split} {row.name}", memory, 8 * row.top_n * items)
            tables = row.count(Sessions.load(run, split))
            with TableWriter(path, NEIGHBOURS) as writer:
                for table in run.progress(tables, f"{split} {row.name}", -(-items // RANGE)):
                    writer.add(table)

    def count(self, s: Sessions) -> Iterator[pl.DataFrame]:
        """Yield NEIGHBOURS, range by range of items."""
        stats = session_stats(s.offsets, s.ts)
        second = second_items(s.offsets, s.item)  # a session of one item is in no pair that votes
        offsets, latest, _ = latest_sessions(
            s.offsets, s.item, stats, second, s.n_items, self.max_sessions
        )
        sessions = np.searchsorted(s.offsets, latest[:, BEGIN], side="right") - 1
        item_offsets, items = swing_kernel.latest_items(s.offsets, s.item, self.max_items)
        for low in range(0, s.n_items, RANGE):
            high = min(low + RANGE, s.n_items)
            size, near, weight = swing_kernel.count(
                offsets, sessions, item_offsets, items, self.alpha, low, high, self.top_n,
                get_num_threads(),
            )  # fmt: skip
            listed = near >= 0
            neighbours = Neighbours(offsets_of_sizes(size), near[listed], weight[listed])
            yield neighbours.to_frame(low)
