"""Columns: how new the candidate is by its number, where numbers grow with time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import CONTINUOUS, UNIQUE, IntEnum, verify
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from src.core.arrays import F32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.impressions import read_log
from src.data.split_data import SplitData
from src.features.base import FeatureGroup, Memory, QueryBatch, lower_names
from src.features.keyed_log import query_column

if TYPE_CHECKING:
    from src.data.recipe import Recipe

NOTHING = np.iinfo(np.int64).min


@verify(UNIQUE, CONTINUOUS)
class NumberColumn(IntEnum):
    """Columns of ItemNumberFeature."""

    GAP = 0  # the largest number so far, minus the candidate's
    AGE = 1  # seconds since a number as large first came up; -1 where none has
    PAGE = 2  # the number of the page's item, minus the candidate's; 0 on the front page


class Records(NamedTuple):
    """Rows of the logs with a larger number than all rows before, in time order.

    A row before all times, with a number below all, comes first.
    """

    ts: I64
    number: I64


@dataclass(frozen=True)
class ItemNumberFeature(FeatureGroup):
    """Compares the candidate's raw id, a whole number, with those of all rows strictly earlier."""

    logs: tuple[str, ...]  # of src/data/impressions.py

    def names(self, recipe: Recipe) -> list[str]:
        return [f"number_{name}" for name in lower_names(NumberColumn)]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        return (NumberColumn.GAP,)

    def inputs(self, run: Run, split: str) -> list[Path]:
        logs = [paths.log(run, log) for log in self.logs]
        return [*logs, paths.impressions(run, split), paths.items(run)]

    def memory(self, run: Run, split: str) -> Memory:
        """Count times and numbers of all rows, and their order."""
        return Memory(32.0 * sum(count_rows(paths.log(run, log)) for log in self.logs))

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        number = batch.data.items["item_id"].to_numpy()
        records = batch.data.cached(("records", self.logs), lambda: self.records(batch.data))
        ts, own = query_column(batch, "ts"), number[batch.pool.item]
        newest = np.searchsorted(records.ts, ts) - 1  # the last record strictly before
        X[:, column + NumberColumn.GAP] = np.where(newest > 0, records.number[newest] - own, 0)
        page = query_column(batch, "page")
        X[:, column + NumberColumn.PAGE] = np.where(page >= 0, number[page] - own, 0)
        reached = np.searchsorted(records.number, own)
        age = ts - records.ts[np.minimum(reached, records.ts.size - 1)]
        X[:, column + NumberColumn.AGE] = np.where(reached <= newest, age, -1)

    def records(self, data: SplitData) -> Records:
        """Find the records of all logs; of rows of one time, the largest number counts."""
        read = [read_log(data, log, "ts", "item") for log in self.logs]
        ts, item = (np.concatenate(columns) for columns in zip(*read, strict=True))
        number = data.items["item_id"].to_numpy()[item]
        order = np.lexsort((-number, ts))
        ts, number = ts[order].astype(np.int64), number[order].astype(np.int64)
        ts, number = np.append(NOTHING, ts), np.append(NOTHING, number)
        record = np.append(True, number[1:] > np.maximum.accumulate(number)[:-1])
        return Records(ts[record], number[record])
