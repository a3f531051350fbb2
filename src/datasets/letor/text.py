"""Parse LETOR text into tables; raise errors that name the line.

The kernel reads every right line. `fault` says what is wrong with another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from src.core.arrays import I64
from src.datasets.letor.text_kernel import U8, Rows, Stop, joined, new_runs, scan

MAX_INDEX = 9_999
"""Largest index of a feature: tables are dense."""
CELLS = 1 << 24  # values of a table, at most
FIRST_WIDTH = 256  # indices for which a table has room at first
SHOWN = 40  # characters of a wrong text in a message
BLANK = " \t\r"  # characters between the tokens of a line, as the kernel has them
BLANKS = re.compile(f"[{BLANK}]+")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,5})?", re.ASCII)

HEAD = pl.Schema({"line": pl.Int64, "qid": pl.String, "doc": pl.String, "grade": pl.Float32})
"""First columns of a parsed table: qid and doc are null where the line has none.

A Float32 column follows for each index that occurs, see `feature_name`; NaN where it is missing.
"""


def feature_name(index: int) -> str:
    """Name the column of an index."""
    return f"f{index}"


def number_of_feature(name: str) -> int:
    """Return the index of a column."""
    return int(name.removeprefix("f"))


def parse(block: bytes, first: int, path: Path) -> Iterator[pl.DataFrame]:
    """Yield whole lines as tables of at most CELLS values.

    first: number of the block's first line in the file at `path`. Raises ValueError, naming file
    and line, for a malformed line.
    """
    data, lines = np.frombuffer(block, np.uint8), block.count(b"\n") + 1
    at, line, width = 0, first, FIRST_WIDTH
    while at < data.size:
        rows = _rows(min(lines, CELLS // width), width)
        at, line, row, why = scan(data, at, line, rows, 0)
        if why == Stop.SHAPE or (why == Stop.WIDTH and width > MAX_INDEX):
            text = block[at:].partition(b"\n")[0]
            raise ValueError(f"{path}, line {line}: {fault(text.decode(errors='replace'))}")
        width = min(2 * width, MAX_INDEX + 1) if why == Stop.WIDTH else width
        if row:
            yield _frame(data, rows, row)


def _rows(n: int, width: int) -> Rows:
    """Make empty rows."""
    return Rows(
        np.empty(n, np.int64), np.empty(n, np.float32), np.empty((n, 2), np.int64),
        np.empty((n, 2), np.int64), np.empty((n, width), np.float32), np.zeros(width, np.int64),
    )  # fmt: skip


def _frame(data: U8, rows: Rows, n: int) -> pl.DataFrame:
    """Convert the first n rows to a table: HEAD and the columns of the indices that occur."""
    new = new_runs(data, rows.qid[:n])
    run = pl.Series(np.cumsum(new) - 1)
    head = {
        "line": rows.line[:n],
        "qid": _texts(data, rows.qid[:n][new]).gather(run),
        "doc": _texts(data, rows.doc[:n]),
        "grade": rows.grade[:n],
    }
    values = {feature_name(i): rows.values[:n, i] for i in np.flatnonzero(rows.seen).tolist()}
    return pl.DataFrame({**head, **values})


def _texts(data: U8, spans: I64) -> pl.Series:
    """Return the texts between bytes, int64 (texts, 2), as String; null where there are none."""
    text, offsets = joined(data, spans)
    if (text < 128).all():
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
        found = pl.Series(pa.Array.from_buffers(pa.large_string(), len(spans), buffers))
    else:
        parts = [text[a:b].tobytes().decode(errors="replace") for a, b in pairwise(offsets)]
        found = pl.Series(parts, dtype=pl.String)
    return found.set(found == "", None)


def fault(text: str) -> str:
    """Name the fault of a line that the kernel does not read, and its cure."""
    grade, *tokens = BLANKS.split(text.partition("#")[0].strip(BLANK))
    if not NUMBER.fullmatch(grade):
        return f"the grade is {grade[:SHOWN]!r}, not a number; write it first"
    if tokens and tokens[0] == "qid:":
        return "the qid is empty; write qid:<id>, without a blank"
    seen: set[int] = set()
    for token in tokens[1:] if tokens and tokens[0].startswith("qid:") else tokens:
        index, colon, value = token.partition(":")
        if not colon or not re.fullmatch("[0-9]{1,9}", index):
            return f"{token[:SHOWN]!r} is not <index>:<value>; mend or drop it"
        if int(index) > MAX_INDEX:
            return f"index {index} is above {MAX_INDEX}; number the features from 1 on"
        if int(index) in seen:
            return f"index {index} stands twice; keep one"
        if not NUMBER.fullmatch(value) and value.lower() not in ("null", "nan"):
            return f"value {value[:SHOWN]!r} of index {index} is no number; write one, or NULL"
        seen.add(int(index))
    raise AssertionError(f"a right line was not read: {text[:200]}")
