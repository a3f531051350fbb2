"""Index the rows of a log by a key and time; base of the features that count such rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import I32, I64, read_only
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.impressions import impressions, read_log
from src.data.split_data import SplitData
from src.data.units import HOUR
from src.features.as_of_kernel import first_from
from src.features.base import FeatureGroup, Memory, QueryBatch

if TYPE_CHECKING:
    from src.data.recipe import Recipe

ITEM = "item"
BYTES_PER_ROW = 40.0
"""Of a log while a key is indexed: key, order and time, with what the sort takes."""


@dataclass(frozen=True)
class KeyIndex:
    """Rows of a log sorted by key, then time; rows without a key are left out.

    group: int64, keys that occur, ascending. offsets: CSR of their rows. ts: int32, of each row.
    order: row of the log of each row. base: one more than the largest value of each key column.
    """

    group: I64
    offsets: I64
    ts: I32
    order: I64
    base: tuple[int, ...]

    @classmethod
    def of(cls, columns: Sequence[NDArray], ts: I32) -> KeyIndex:
        """Sort rows; columns: those of the key, whole numbers, negative where there is none."""
        base = tuple(int(column.max(initial=0)) + 1 for column in columns)
        key = joined(columns, base, ts.size)
        order = np.lexsort((ts, key))
        order = order[np.searchsorted(key, 0, sorter=order) :]
        group, first = np.unique(key[order], return_index=True)
        offsets = np.append(first, order.size).astype(np.int64)
        return cls(group, read_only(offsets), read_only(ts[order]), order, base)

    def groups_of(self, columns: Sequence[NDArray], rows: int) -> I64:
        """Return the number of the group of each key: int64 (rows), -1 where no row has the key."""
        key = joined(columns, self.base, rows)
        if not self.group.size:
            return np.full(rows, -1, np.int64)
        place = np.minimum(np.searchsorted(self.group, key), self.group.size - 1)
        return np.where(self.group[place] == key, place, -1)

    def first_from(self, group: I64, time: I64) -> I64:
        """Return the first row of each group with ts >= time; see the kernel."""
        return first_from(self.offsets, self.ts, group, time)


def joined(columns: Sequence[NDArray], base: Sequence[int], rows: int) -> I64:
    """Join whole numbers to one key: int64 (rows), -1 where a number is negative or beyond base.

    Raises OverflowError where there are more keys than int64 has numbers.
    """
    if np.prod([float(b) for b in base]) >= 2.0**63:
        raise OverflowError(f"a key of {base} values is too large; leave a column out")
    key, known = np.zeros(rows, np.int64), np.ones(rows, np.bool_)
    for column, size in zip(columns, base, strict=True):
        known &= (column >= 0) & (column < size)
        key = key * size + column
    return np.where(known, key, -1)


class Lookup:
    """The candidates of a batch in an index: their groups, and rows of the index by time."""

    def __init__(self, index: KeyIndex, group: I64, ts: I64) -> None:
        """group, ts: int64 (candidates), the time of the impression."""
        self.index, self.group, self.ts = index, group, ts
        known, place = group >= 0, np.maximum(group, 0)
        self.start = np.where(known, index.offsets[place], 0)
        self.end = np.where(known, index.offsets[place + (index.group.size > 0)], 0)

    def first_from(self, time: I64) -> I64:
        """Return the first row of each candidate's group with ts >= time."""
        return self.index.first_from(self.group, time)

    def time_at(self, row: I64, there: NDArray[np.bool_]) -> I64:
        """Return the times of rows of the index: int64; that of the impression where not there."""
        out = self.ts.copy()
        out[there] = self.index.ts[row[there]]
        return out


class KeyedLogFeature(FeatureGroup):
    """Computes columns from the rows of a log that have the candidate's key."""

    log: str  # of src/data/impressions.py
    key: tuple[str, ...]  # its columns: "item", and columns of IMPRESSIONS

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where there is no key, or candidates are not given."""
        if not recipe.given:
            raise ValueError(f"{type(self).__name__}: the recipe's candidates are not given")

    @property
    def label(self) -> str:
        """Begin of the names of the columns."""
        return "_".join((self.log, *self.key))

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.log(run, self.log), paths.impressions(run, split)]

    def memory(self, run: Run, split: str) -> Memory:
        return Memory(BYTES_PER_ROW * count_rows(paths.log(run, self.log)))

    def lookup(self, batch: QueryBatch) -> Lookup:
        """Find the candidates of a batch in the index of the key."""
        index = key_index(batch.data, self.log, self.key)
        columns = [self.values(batch, name) for name in self.key]
        ts = query_column(batch, "ts").astype(np.int64)
        return Lookup(index, index.groups_of(columns, ts.size), ts)

    def values(self, batch: QueryBatch, name: str) -> NDArray:
        """Return a column of the key for each candidate."""
        return batch.pool.item if name == ITEM else query_column(batch, name)

    def causal(self) -> Self | None:
        return self


def key_index(data: SplitData, log: str, key: tuple[str, ...]) -> KeyIndex:
    """Index a log by a key; rows of the recipe share the index."""

    def make() -> KeyIndex:
        ts, *columns = read_log(data, log, "ts", *key)
        return KeyIndex.of(columns, ts)

    return data.cached(("key index", log, key), make)


def query_column(batch: QueryBatch, name: str) -> NDArray:
    """Return a column of IMPRESSIONS for each candidate of a batch; NaN for null."""
    first = batch.data.first_query
    column = impressions(batch.data)[name][batch.first - first : batch.end - first]
    return np.repeat(column.to_numpy(), np.diff(batch.pool.offsets))


def span(seconds: int) -> str:
    """Write a length of time in hours, for names of columns."""
    return f"{seconds / HOUR:g}h"
