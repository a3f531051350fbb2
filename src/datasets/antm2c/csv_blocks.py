"""Parse blocks of CSV rows as text; tell rows of a wrong form from the others.

Arrow parses: a field in quotes may hold commas, quotes in pairs and line breaks.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import csv

from src.core.arrays import I64
from src.core.csvfile import read_header
from src.datasets.antm2c.columns import COLUMNS, LABEL
from src.datasets.antm2c.row_blocks import RowBlock

SHOWN = 200  # characters of a bad row that are kept
NOT_UTF8 = "\ufdd0"
"""Stands for bytes that are not UTF-8; no text holds it: Unicode has it for use inside programs."""
codecs.register_error(NOT_UTF8, lambda error: (NOT_UTF8, getattr(error, "end")))  # noqa: B009
FIRST = 1
"""Arrow's number of the first row."""


class Misshapen(NamedTuple):
    """A row with a wrong number of fields."""

    row: int
    line: int
    reason: str
    text: str


class Parsed(NamedTuple):
    """Rows of a block: text, its columns as String; row, line: number and first line of each."""

    row: I64
    line: I64
    text: pl.DataFrame
    bad: list[Misshapen]


def header(path: Path, labelled: bool) -> list[str]:
    """Read the names of the columns; ValueError, naming it, where a column is missing or twice.

    labelled: whether the file must have a label.
    """
    optional = () if labelled else (LABEL,)
    needed = [name for name in COLUMNS if name not in optional]
    cure = "give a file of AntM2C's form, with a header"
    return read_header(path, needed, optional, cure, quoted=True)


def parse(block: RowBlock, names: Sequence[str]) -> Parsed:
    """Read the rows of a block; bytes that are not UTF-8 become NOT_UTF8.

    names: those of the header.
    """
    data, skipped = block.read().decode(errors=NOT_UTF8).encode(), list[csv.InvalidRow]()

    def skip(row: csv.InvalidRow) -> str:
        skipped.append(row)
        return "skip"

    table = csv.read_csv(
        pa.BufferReader(data),
        # with threads, Arrow does not number the rows
        csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=list(names)),
        csv.ParseOptions(
            newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip
        ),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=[name for name in names if name in COLUMNS],
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    return numbered(block, pl.DataFrame(pl.from_arrow(table)), skipped)


def numbered(block: RowBlock, text: pl.DataFrame, skipped: list[csv.InvalidRow]) -> Parsed:
    """Number the rows of a block and their lines, and the skipped rows between them."""
    place = np.array([bad.number - FIRST for bad in skipped], np.int64)
    n = np.arange(text.height)
    row = n + np.searchsorted(place - np.arange(place.size), n, side="right")
    breaks = pl.sum_horizontal(pl.col(pl.String).str.count_matches("\n", literal=True))
    has_breaks = pl.any_horizontal(pl.col(pl.String).str.contains("\n", literal=True))
    lines = np.ones(text.height + place.size, np.int64)
    if text.select(has_breaks.any()).item():
        lines[row] += text.select(breaks).to_series().to_numpy()
    lines[place] += np.array([bad.text.count("\n") for bad in skipped], np.int64)
    line = block.line + np.append(0, lines.cumsum())
    bad_rows = [
        Misshapen(
            block.row + at, int(line[at]),
            f"{bad.actual_columns} fields, the header has {bad.expected_columns}", bad.text[:SHOWN],
        )
        for at, bad in zip(place.tolist(), skipped, strict=True)
    ]  # fmt: skip
    return Parsed(block.row + row, line[row], text, bad_rows)
