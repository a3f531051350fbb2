"""Read CSV files block by block as text; tell rows of a wrong form from the others.

Arrow parses: a field in quotes may hold commas, quotes in pairs and line breaks.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import csv

from src.core.arrays import I64
from src.core.csvfile import read_header
from src.datasets.antm2c.columns import COLUMNS, LABEL

BLOCK_BYTES = 1 << 24  # of a file in memory at a time; no row is longer
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


class Block(NamedTuple):
    """Rows of a file: text, its columns as String; row, line: number and first line of each."""

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


def read_blocks(path: Path, names: Sequence[str]) -> Iterator[Block]:
    """Yield the rows of a file; raise ValueError for a file that cannot be read as CSV.

    names: those of the header.
    """
    numbering, data = Numbering(), Utf8(path)
    if data.is_empty():
        return
    reader = csv.open_csv(
        data,
        # with threads, Arrow does not number the rows
        csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=list(names)),
        csv.ParseOptions(
            newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=numbering.skip
        ),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=[name for name in names if name in COLUMNS],
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    try:
        for batch in reader:
            yield numbering.block(batch)
        yield numbering.rest(reader.schema)
    except pa.ArrowInvalid as error:
        cause = str(error).partition("\n")[0]
        raise ValueError(
            f"{path}, line {numbering.line} or later: {cause}; look for a quote that does not end"
        ) from None


class Numbering:
    """Numbers the rows of a file and their lines, those that Arrow skips too."""

    def __init__(self) -> None:
        self.row, self.line = 0, 2  # the next ones
        self.skipped: list[csv.InvalidRow] = []

    def skip(self, row: csv.InvalidRow) -> str:
        """Remember a row with a wrong number of fields; Arrow calls it, maybe a block early."""
        self.skipped.append(row)
        return "skip"

    def block(self, batch: pa.RecordBatch) -> Block:
        """Number the rows of a batch, and the skipped rows between them."""
        text = pl.DataFrame(pl.from_arrow(batch))
        place = np.array([bad.number - FIRST for bad in self.skipped], np.int64)
        n = self.row + np.arange(batch.num_rows)
        row = n + np.searchsorted(place - np.arange(place.size), n, side="right")
        end = int(row[-1]) + 1 if row.size else self.row
        breaks = pl.sum_horizontal(pl.col(pl.String).str.count_matches("\n", literal=True))
        has_breaks = pl.any_horizontal(pl.col(pl.String).str.contains("\n", literal=True))
        lines = np.ones(end - self.row, np.int64)
        if text.select(has_breaks.any()).item():
            lines[row - self.row] += text.select(breaks).to_series().to_numpy()
        passed = self.skipped[: int((place < end).sum())]
        for bad in passed:
            lines[bad.number - FIRST - self.row] += bad.text.count("\n")
        first = self.line + np.append(0, lines.cumsum())
        bad_rows = [misshapen(bad, int(first[bad.number - FIRST - self.row])) for bad in passed]
        line = first[row - self.row]
        self.row, self.line = end, int(first[-1])
        self.skipped = self.skipped[len(passed) :]
        return Block(row, line, text, bad_rows)

    def rest(self, schema: pa.Schema) -> Block:
        """Number what was skipped behind the last good row."""
        text = pl.DataFrame(pl.from_arrow(schema.empty_table()))
        bad_rows = []
        for bad in self.skipped:
            bad_rows.append(misshapen(bad, self.line))
            self.line += 1 + bad.text.count("\n")
        empty = np.zeros(0, np.int64)
        return Block(empty, empty, text, bad_rows)


def misshapen(bad: csv.InvalidRow, line: int) -> Misshapen:
    """Describe a row with a wrong number of fields."""
    reason = f"{bad.actual_columns} fields, the header has {bad.expected_columns}"
    return Misshapen(bad.number - FIRST, line, reason, bad.text[:SHOWN])


class Utf8(io.RawIOBase):
    """Reads a file behind its first line; bytes that are not UTF-8 become NOT_UTF8."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "rb")  # noqa: SIM115 - closed by `close`
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors=NOT_UTF8)
        self.file.readline()
        self.rest = b""

    def is_empty(self) -> bool:
        """Whether nothing is left to read."""
        self.rest = self.read(BLOCK_BYTES) + self.rest
        return not self.rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = 1 << 20) -> bytes:
        """Read bytes, `size` at most."""
        while len(self.rest) < size:
            raw = self.file.read(size)
            self.rest += self.decoder.decode(raw, final=not raw).encode()
            if not raw:
                break
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def close(self) -> None:
        self.file.close()
        super().close()
