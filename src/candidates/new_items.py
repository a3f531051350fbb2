"""List the newest items, including items without any event."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

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
    """Lists the newest items at the time of the query, by columns of items.parquet.

    `same` and `near` refer to the items of the session. They exclude all items for a session
    without events. Where times of items are not known, all items are as new as the query.
    """

    created: str | None  # column with the time of the item, in seconds since 1970; None: unknown
    max_age_days: float = 1.0
    same: str | None = None  # column whose value the item shares with an item of the session
    near: str | None = None  # column whose value is near the mean over the session
    max_distance: float = 0.0  # of `near` from the mean
    unseen: bool = False  # only items without any event in the split
    top: int = 20

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Return the events and the attributes of items."""
        return [*super().inputs(run, split), paths.items(run)]

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of the columns and of the sorted items."""
        return 40 * count_rows(paths.items(run))

    def causal(self) -> Self | None:
        """Return the row itself; None with `unseen`, which depends on the whole split."""
        return None if self.unseen else self

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """List the newest items whose time is known."""
        s = data.sessions
        now = data.query_ts(first, end)
        created, eligible = np.zeros(s.n_items, np.int64), np.ones(s.n_items, np.bool_)
        if self.created is None:
            now = np.zeros_like(now)
        else:
            times = self._column(data, self.created)
            eligible = np.isfinite(times)
            created[eligible] = times[eligible]
        if self.unseen:
            eligible &= s.count_items() == 0
        order = np.flatnonzero(eligible)[np.argsort(created[eligible], kind="stable")]
        return new_items_kernel.new_item_lists(
            s.offsets, s.item, now, first, end, order, created[order],
            int(self.max_age_days * DAY), self._column(data, self.same),
            self._column(data, self.near), self.max_distance, self.top,
        )  # fmt: skip

    def _column(self, data: SplitData, name: str | None) -> F64:
        """Return a column of the items, NaN where unknown; an empty array for no name."""
        if name is None:
            return np.empty(0)
        return data.attribute(name)
