"""Write the log of all rows shown (src/data/impressions.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from src.core.parquet import TableWriter
from src.data.impressions import SHOWN
from src.datasets.antm2c.columns import ITEM, LABEL, SCENE, USER
from src.datasets.antm2c.cuts import Part
from src.datasets.antm2c.files import RawFile
from src.datasets.antm2c.ids import BLOCK, Ids, blocks

ALONE = {"visit": -1, "page": -1, "length": 1}
"""Columns of SHOWN: the rows name no visit and no page, and each list has one item."""


def write_shown(files: Sequence[RawFile], ids: Ids, test: Part | None, path: Path) -> None:
    """Write SHOWN in the order of time; the clicks of the test are hidden."""
    constant = [pl.lit(value, pl.Int32).alias(name) for name, value in ALONE.items()]
    tables = []
    for rows in blocks(files, ("ts", USER, ITEM, LABEL, SCENE)):
        tables.append(ids.dense(rows).select("id", "ts", "user", "item", "scene", click=LABEL))
    table = pl.concat(tables).sort("ts", "id")
    if test is not None:
        table = table.with_columns(pl.when(~of_part(test, files)).then("click").alias("click"))
    with TableWriter(path, SHOWN) as writer:
        for rows in table.iter_slices(BLOCK):
            rows = rows.with_columns(constant).with_columns(ts=minute(pl.col("ts")))
            writer.add(rows.select(SHOWN.names()))


def minute(seconds: pl.Expr) -> pl.Expr:
    """Return the second at which the minute begins.

    Some times of a log have no seconds. With those of the others, a row could see a later one.
    Every time that is compared with the log's begins a minute too, else the first clicks of a split
    would be known to it.
    """
    return seconds // 60 * 60


def of_part(part: Part, files: Sequence[RawFile]) -> pl.Expr:
    """Mark the rows of a part by `id` and `ts`."""
    inside = pl.col("ts").is_between(part.first, part.end, closed="left")
    ranges, first = [], 0
    for file in files:
        if file in part.files:
            ranges.append(pl.col("id").is_between(first, first + file.size, closed="left"))
        first += file.size
    return inside & pl.any_horizontal(ranges)
