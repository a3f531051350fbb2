"""Write the given candidates of a split with their values, from the parts of a raw file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import F32, I64
from src.core.parquet import TableWriter
from src.data.schemas import GIVEN
from src.datasets.letor.raw import RawFile
from src.datasets.letor.text import CELLS

ROW_GROUP = 1 << 16  # rows written at a time, at most; who reads a batch reads whole groups
PARTS_IN_MEMORY = 2  # neighbouring queries lie in neighbouring parts


def write_given(path: Path, file: RawFile, columns: tuple[str, ...], rows: pl.DataFrame) -> None:
    """Write GIVEN and the columns of values: 0 for an index that a line lacks, null for NaN.

    rows: session, item, and row, the number of the row in the file; in the order to be written.
    """
    schema = pl.Schema([*GIVEN.items(), *((name, pl.Float32()) for name in columns)])
    part = pl.read_parquet(file.rows, columns=["part"])["part"].to_numpy().astype(np.int64)
    read = lru_cache(PARTS_IN_MEMORY)(lambda n: pl.read_parquet(file.part(n)))

    def values(row: I64) -> F32:
        out = np.zeros((row.size, len(columns)), np.float32)
        for n in np.unique(part[row]):
            at = np.flatnonzero(part[row] == n)
            found = read(int(n))[row[at] - np.searchsorted(part, n)]
            for name in found.columns[1:]:  # after LINE
                out[at, columns.index(name)] = found[name].to_numpy()
        return out

    with TableWriter(path, schema) as writer:
        for frame in rows.iter_slices(max(1, min(ROW_GROUP, CELLS // max(len(columns), 1)))):
            table = pl.from_numpy(values(frame["row"].to_numpy().astype(np.int64)), list(columns))
            writer.add(frame.select(GIVEN.names()).hstack(table.fill_nan(None)))
