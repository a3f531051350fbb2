"""Propose the newest items, also those that nobody has looked at: what no count can propose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from src.candidates import new_items_kernel
from src.candidates.base import Retriever
from src.core.arrays import F64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.split_data import SplitData
from src.data.units import DAY


@dataclass(frozen=True)
class NewItemRetriever(Retriever):
    """The newest items at the time of the query, by a column that holds when they came.

    Columns are those of items.parquet. A query without an event has no items to share a value
    with, nor a mean to lie near.
    """

    created: str  # column: seconds since 1970
    max_age_days: float = 1.0  # only items that are no older
    same: str | None = None  # column: only items that share a value with one of the history
    near: str | None = None  # column: only items near the mean of the history,
    max_distance: float = 0.0  # so far from it, at most
    unseen: bool = False  # only items without any event in the split
    top: int = 20

    def inputs(self, run: Run, split: str) -> list[Path]:
        """The events, and the items' attributes."""
        return [*super().inputs(run, split), paths.items(run)]

    def memory(self, run: Run, split: str) -> float:
        """Columns of the items."""
        return 40 * count_rows(paths.items(run))

    def causal(self) -> Self | None:
        """Itself, unless it looks at which items have no event in the whole split."""
        return None if self.unseen else self

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """List the newest items whose age is known."""
        s = data.sessions
        created = data.items[self.created].cast(pl.Int64).fill_null(-1).to_numpy()
        eligible = created >= 0
        if self.unseen:
            eligible &= np.bincount(s.item, minlength=s.n_items) == 0
        order = np.flatnonzero(eligible)[np.argsort(created[eligible], kind="stable")]
        return new_items_kernel.new_item_lists(
            s.offsets, s.item, data.query_ts(first, end), first, end, order, created[order],
            int(self.max_age_days * DAY), self._column(data, self.same),
            self._column(data, self.near), self.max_distance, self.top,
        )  # fmt: skip

    def _column(self, data: SplitData, name: str | None) -> F64:
        """A column of the items, NaN where unknown; empty where no name is given."""
        if name is None:
            return np.empty(0)
        return data.items[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
