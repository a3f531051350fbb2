"""Read the rows of a raw file for a bundle, as step 1 reads those of the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.datasets.antm2c.columns import ITEM, USER
from src.datasets.antm2c.cuts import Part
from src.datasets.antm2c.files import read_typed
from src.datasets.antm2c.ids import Ids
from src.datasets.antm2c.tables import TableMaker
from src.export.lists import RawLists


def until_file(folder: Path) -> Path:
    """Return the file with the time from which clicks are unknown: ts, in one row."""
    return folder / "clicks_until.parquet"


def write_until(ts: int, path: Path) -> None:
    """Write the time from which clicks are unknown, in seconds."""
    pl.DataFrame({"ts": [ts]}).write_parquet(path)


def read_raw(path: Path, folder: Path) -> RawLists:
    """Read the rows of a file; labels do not matter. folder: has items and the ids of step 1.

    Clicks are known until the time of the run. Raises ValueError, naming the line, for a row that
    step 1 would put into quarantine.
    """
    tables = []
    for found in read_typed(path, labelled=False):
        for line, reason in found.bad.select("line", "reason").head(1).iter_rows():
            raise ValueError(f"{path}, line {line}: {reason}; mend or drop the row")
        tables.append(found.rows)
    ids = Ids.read(folder, folder / "items.parquet")
    rows = ids.dense(pl.concat(tables).with_columns(id="row", session="row"))
    until = pl.read_parquet(until_file(folder)).item()
    maker = TableMaker(Part("test", "test", until, until, ()), ids, block_s=1)
    keys = rows.select("row", USER, ITEM)
    return RawLists(
        maker.make("impressions", rows), np.arange(rows.height + 1), rows["item"].to_numpy(), keys,
        maker.make("given", rows),
    )  # fmt: skip
