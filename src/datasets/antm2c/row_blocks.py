"""Cut a CSV file into blocks of whole rows; a field in quotes may hold line breaks.

Lines are scanned block by block, in any order: a line begins a row or stands in quotes, so a block
has two readings. The end of the block before says which one holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from src.core.text_blocks import Block, block_ends
from src.datasets.antm2c.row_blocks_kernel import scan_lines

BLOCK_BYTES = 1 << 24  # of a file in memory at a time, about; no row is longer
BLOCKS = pl.Schema(dict.fromkeys(("first", "end", "row", "line"), pl.Int64))
"""A block a row, in the order of the file: see RowBlock."""


class RowBlock(NamedTuple):
    """Whole rows of a file."""

    source: Path
    first: int  # byte
    end: int
    row: int  # number of the first row, from 0 behind the header
    line: int  # where it begins, from 1 for the header

    def read(self) -> bytes:
        return Block(self.source, self.first, self.end).read()


class Scan(NamedTuple):
    """One reading of whole lines, as `scan_lines` returns it."""

    first: int
    first_rows: int
    first_lines: int
    rows: int
    lines: int
    last_lines: int
    quoted: bool


def line_blocks(source: Path) -> list[Block]:
    """Cut what is behind the header at line ends; some may stand in quotes."""
    with open(source, "rb") as file:
        begin = len(file.readline())
    ends = [end for end in block_ends(source, BLOCK_BYTES) if end > begin]
    return [Block(source, *pair) for pair in pairwise([begin, *ends])]


def scan(lines: Block, quoted: bool) -> Scan:
    """Read lines as those that begin in quotes, or do not."""
    return Scan(*scan_lines(np.frombuffer(lines.read(), np.uint8), quoted))


def row_blocks(
    source: Path, lines: Sequence[Block], scanned: Callable[[int, bool], Scan]
) -> list[RowBlock]:
    """Cut a file at the first row of each of its line blocks.

    scanned: gives the scan of a line block, by its number, for one reading. Raises ValueError, with
    the line, for a file without rows, and for a row that a line block does not end.
    """
    begins, row, line, last, quoted = list[RowBlock](), 0, 2, 2, False
    for number, block in enumerate(lines):
        found = scanned(number, quoted)
        if found.first >= 0:
            first, n = block.first + found.first, row + found.first_rows
            begins.append(RowBlock(source, first, block.end, n, line + found.first_lines))
        elif number < len(lines) - 1:
            raise ValueError(
                f"{source}, line {last}: a row of more than {BLOCK_BYTES:,} bytes; look for a "
                "quote that does not end"
            )
        if found.rows:
            last = line + found.last_lines
        row, line, quoted = row + found.rows, line + found.lines, found.quoted
    if not begins:
        raise ValueError(f"{source} holds no rows; download it again")
    ends = [*(block.first for block in begins[1:]), lines[-1].end]
    cut = (block._replace(end=end) for block, end in zip(begins, ends, strict=True))
    return [block for block in cut if block.first < block.end]


def blocks_of(source: Path) -> list[RowBlock]:
    """Cut a file into blocks, one after the other; see `row_blocks`."""
    lines = line_blocks(source)
    return row_blocks(source, lines, lambda number, quoted: scan(lines[number], quoted))
