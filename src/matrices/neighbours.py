"""Load and convert the top neighbours of every item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from src.core.arrays import F32, F64, I32, I64, offsets_of_sizes, read_only
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.data.splits import rebuilt_splits

NEIGHBOURS = pl.Schema({"item_x": pl.Int32, "item_y": pl.Int32, "weight": pl.Float32})
"""One neighbour item_y of item_x a row; sorted by item_x, heaviest first, ties by item_y."""


@dataclass(frozen=True)
class Neighbours:
    """Top neighbours as CSR: those of item x are rows offsets[x] : offsets[x + 1].

    Of a matrix that is rebuilt, x is a row as `matrix_rows` counts them.
    """

    offsets: I64
    item: I32
    weight: F32

    def to_frame(self, first: int = 0, items: I64 | None = None) -> pl.DataFrame:
        """Convert to a NEIGHBOURS frame; `first` is the number of the first item.

        items: ids of items by their number, ascending; None: numbers are ids.
        """
        numbers = np.arange(first, first + self.offsets.size - 1, dtype=np.int32)
        x, y = np.repeat(numbers, np.diff(self.offsets)), self.item
        if items is not None:
            x, y = items[x].astype(np.int32), items[y].astype(np.int32)
        return pl.DataFrame({"item_x": x, "item_y": y, "weight": self.weight}, schema=NEIGHBOURS)

    @classmethod
    def load(cls, path: Path, n_rows: int, top: int) -> Neighbours:
        """Read the `top` heaviest neighbours of each item of a NEIGHBOURS file."""
        sizes, near, weight = np.zeros(n_rows, np.int64), [], []
        for x, y, w in row_groups(path):
            counts = np.bincount(x - x[0])
            loaded = sizes[x[0] : x[0] + counts.size]  # an item may begin in the group before
            begins = np.cumsum(counts) - counts
            rank = np.arange(x.size) - np.repeat(begins - loaded, counts)
            near.append(y[rank < top])
            weight.append(w[rank < top])
            loaded += np.minimum(counts, top - loaded)
        offsets = offsets_of_sizes(sizes)
        return cls(offsets, _joined(near, np.int32), _joined(weight, np.float32))

    @classmethod
    def mapped(cls, path: Path, n_rows: int) -> Neighbours:
        """Map all neighbours of a NEIGHBOURS file into memory, from temporary files beside it.

        The system can drop mapped pages and read them again. The files vanish with the process.
        """
        sizes, folder = np.zeros(n_rows, np.int64), path.parent
        with TemporaryFile(dir=folder) as near, TemporaryFile(dir=folder) as weight:
            for x, y, w in row_groups(path):
                sizes[x[0] : x[-1] + 1] += np.bincount(x - x[0])
                near.write(y.data)
                weight.write(w.data)
            offsets = offsets_of_sizes(sizes)
            return cls(offsets, _mapped(near, np.int32), _mapped(weight, np.float32))


def top_of_rows(weight: F32 | F64, top: int) -> Neighbours:
    """Keep the heaviest columns of each row of weights (rows, items) above 0; ties by item."""
    near = np.argsort(-weight, axis=1, kind="stable")[:, :top]
    heaviest = np.take_along_axis(weight, near, axis=1)
    kept = np.greater(heaviest, 0.0)
    offsets = offsets_of_sizes(kept.sum(axis=1))
    return Neighbours(offsets, near[kept].astype(np.int32), heaviest[kept].astype(np.float32))


def rebuilds(run: Run, split: str, name: str) -> list[int]:
    """Return the seconds at which a matrix of a split was made; none where it was made once."""
    every = {row.name: row.rebuild_s for row in run.recipe.matrices}.get(name, 0)
    return list(rebuilt_splits(run, split, every).values())


def count_matrix_rows(run: Run, split: str, name: str) -> int:
    """Count the rows of a matrix: those of all items, once more for each rebuild."""
    return count_rows(paths.items(run)) * (1 + len(rebuilds(run, split, name)))


def matrix_rows(data: SplitData, name: str, first: int, offsets: I64, item: I32) -> I32:
    """Return the row of a matrix for each item of some queries, whose first is session `first`.

    offsets, item: items by query as CSR; -1 stays. It is the item itself, or where the matrix is
    rebuilt, the item in the latest rebuild by the time of the query. The rows of the items before
    the first rebuild are empty.
    """
    starts = data.cached(("rebuilds", name), lambda: rebuilds(data.run, data.split, name))
    if not starts:
        return item
    number = np.searchsorted(starts, data.query_ts(first, first + offsets.size - 1), "right")
    shift = np.repeat(number.astype(np.int32) * np.int32(data.n_items), np.diff(offsets))
    return np.where(item < 0, item, item + shift)


def top_neighbours(data: SplitData, name: str, top: int) -> Neighbours:
    """Return the `top` heaviest neighbours of each row, in a matrix or by an embedding."""

    def load() -> Neighbours:
        rows = count_matrix_rows(data.run, data.split, name)
        return Neighbours.load(paths.neighbours(data.run, data.split, name), rows, top)

    return data.cached(("neighbours", name, top), load)


def all_neighbours(data: SplitData, name: str) -> Neighbours:
    """Return all neighbours of each row, mapped into memory."""

    def load() -> Neighbours:
        rows = count_matrix_rows(data.run, data.split, name)
        return Neighbours.mapped(paths.neighbours(data.run, data.split, name), rows)

    return data.cached(("neighbours", name), load)


def row_groups(path: Path) -> Iterator[tuple[I32, I32, F32]]:
    """Yield the columns of each row group of a NEIGHBOURS file."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        x, y, w = (c.to_numpy() for c in file.read_row_group(group).columns)
        if x.size:
            yield x, y, w


def _mapped(file: IO[bytes], dtype: type) -> NDArray[Any]:
    """Map a written file; numpy cannot map an empty one."""
    return np.asarray(np.memmap(file, dtype, "r")) if file.tell() else _joined([], dtype)


def _joined(arrays: list[NDArray], dtype: type) -> NDArray:
    return read_only(np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype, copy=False))
