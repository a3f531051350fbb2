"""Read the rows of a submission in batches, and list the faults that a competition refuses.

A row is a name, a comma and its items. The name is the query and, if there are several objectives,
the objective.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.arrays import I64, offsets_of_sizes, positions
from src.core.text_blocks import blocks

MAX_FAULTS = 10  # of one file that are listed
BATCH = 32 << 20  # bytes read at a time
NUMBER = "(?:0|[1-9][0-9]{0,18})"  # regular expression; int64 has 19 digits

TRUTH = pl.Schema(
    {"session": pl.Int64, "objective": pl.Int64, "item": pl.Int64, "grade": pl.Float32}
)
"""Ground truth in raw ids: one judged item per row, without duplicates; grades as in LABELS.

Session and item are of String where the raw ids are texts.
"""

Bool = NDArray[np.bool_]


class Fault(NamedTuple):
    """A fault of a line."""

    line: int
    message: str  # what is wrong, and its cure


@dataclass(frozen=True)
class SubmissionFormat:
    """The form of the rows that a competition accepts."""

    header: str
    row: str  # the form of a row, for messages
    query: str  # the competition's word for a query
    objectives: tuple[str, ...]
    names_objectives: bool  # the objective is part of a row's name
    separator: str  # between items
    k: int
    exact: bool  # a row has exactly k items; else up to k

    def name(self, query: int, objective: int) -> str:
        """Name the row of a query and an objective."""
        return f"{query}_{self.objectives[objective]}" if self.names_objectives else f"{query}"

    @property
    def pattern(self) -> str:
        """Regular expression of a well-formed row."""
        objectives = "|".join(map(re.escape, self.objectives))
        suffix = f"_(?:{objectives})" if self.names_objectives else ""
        return f"^{NUMBER}{suffix},{NUMBER}(?:{self.separator}{NUMBER})*$"


@dataclass(frozen=True)
class Expected:
    """Raw ids of the queries that need rows, and of the items that may be recommended."""

    queries: I64
    items: I64 | None  # None: not known, because a raw file is missing


def check(path: Path, fmt: SubmissionFormat, expected: Expected) -> list[str]:
    """List the faults of a submission with lines and cures: MAX_FAULTS at most."""
    checked = _CheckedRows(fmt, np.unique(expected.queries), expected.items)
    faults = _header_faults(path, fmt)
    for batch, first in _batches(path):
        faults += checked.add(batch, first)
        if len(faults) >= MAX_FAULTS:
            break
    else:
        faults += checked.missing()
    return faults[:MAX_FAULTS]


def refuse_faults(path: Path, fmt: SubmissionFormat, expected: Expected) -> None:
    """Raise ValueError with the first faults of a submission that has any."""
    if faults := check(path, fmt, expected):
        raise ValueError(f"the submission would be refused: {'; '.join(faults[:3])}")


def require_file(path: Path) -> None:
    """Raise FileNotFoundError for a missing submission, before larger files are read."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} not found; name the submission with FILE=")


def read(path: Path, fmt: SubmissionFormat) -> Iterator[pl.DataFrame]:
    """Yield well-formed rows in batches; raise ValueError for the first malformed line.

    Columns: line, name, session (raw id), objective (its number), items (text).
    """
    faults = _header_faults(path, fmt)
    for batch, first in _batches(path):
        rows, malformed = _rows(batch, first, fmt)
        faults += [f"line {line}: {message}" for line, message in malformed]
        if faults:
            break
        yield rows
    if faults:
        raise ValueError(f"{path}, {faults[0]} (make check lists the first {MAX_FAULTS} faults)")


def _header_faults(path: Path, fmt: SubmissionFormat) -> list[str]:
    """Compare the first line with the header; return the fault, if any."""
    first = next(blocks(path, BATCH), (1, b""))[1].partition(b"\n")[0]
    header = first.decode(errors="replace").rstrip("\r")
    if header == fmt.header:
        return []
    return [f"line 1: the header is {header[:60]!r}, not {fmt.header!r}; write that line first"]


def _batches(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield whole lines after the header, and the number of their first line."""
    for line, block in blocks(path, BATCH):
        yield (block, line) if line > 1 else (block.partition(b"\n")[2], 2)


def _rows(batch: bytes, first: int, fmt: SubmissionFormat) -> tuple[pl.DataFrame, list[Fault]]:
    """Parse the well-formed rows; return the first MAX_FAULTS malformed ones as faults."""
    text = batch if batch.isascii() else batch.decode(errors="replace").encode()
    lines = pl.read_lines(
        BytesIO(text), name="text", row_index_name="line", row_index_offset=first
    ).with_columns(pl.col("text").str.strip_suffix("\r"))
    well_formed = lines["text"].str.contains(fmt.pattern)
    malformed = lines.filter(~well_formed).head(MAX_FAULTS)
    halves = pl.col("text").str.splitn(",", 2).struct.rename_fields(["name", "items"])
    rows = lines.filter(well_formed).select("line", halves).unnest("text")
    parts = rows["name"].str.splitn("_", 2).struct.rename_fields(["session", "objective"]).struct
    objective = pl.Series(np.zeros(rows.height, np.int8))
    if fmt.names_objectives:
        names = pl.Enum(fmt.objectives)
        objective = parts.field("objective").cast(names).to_physical().cast(pl.Int8)
    rows = rows.with_columns(session=integers(parts.field("session")), objective=objective)
    return rows, [Fault(line, _reason(text, fmt)) for line, text in malformed.iter_rows()]


def _reason(text: str, fmt: SubmissionFormat) -> str:
    """Name the fault of a malformed line, and its cure."""
    name, comma, items = text.partition(",")
    session, _, objective = name.rpartition("_") if fmt.names_objectives else (name, "", "")
    if not comma or not re.fullmatch(NUMBER, session):
        return f"{text[:40]!r} is not {fmt.row}; write it so"
    if fmt.names_objectives and objective not in fmt.objectives:
        return f"unknown objective {objective!r}; they are {', '.join(fmt.objectives)}"
    if not items.strip():
        return f"row {name} has no items; give it some"
    separator = "blank" if fmt.separator == " " else "comma"
    return f"items {items[:40]!r} are not whole numbers; write raw ids, one {separator} apart"


@dataclass
class _CheckedRows:
    """Checks rows batch by batch; queries: sorted."""

    fmt: SubmissionFormat
    queries: I64
    items: I64 | None
    seen: Bool = field(init=False)  # whether there is a row, (queries * objectives,)

    def __post_init__(self) -> None:
        self.seen = np.zeros(self.queries.size * len(self.fmt.objectives), np.bool_)

    def add(self, batch: bytes, first: int) -> list[str]:
        """Check whole lines and return their faults; first: number of the first line."""
        rows, faults = _rows(batch, first, self.fmt)
        faults += self._name_faults(rows) + self._item_faults(rows)
        return [f"line {line}: {message}" for line, message in sorted(faults)]

    def _name_faults(self, rows: pl.DataFrame) -> list[Fault]:
        """List rows of unknown queries, and rows whose name appeared before."""
        line, name, session = rows["line"].to_numpy(), rows["name"], rows["session"].to_numpy()
        index = np.searchsorted(self.queries, session)
        index[index == self.queries.size] = 0
        known = self.queries[index] == session
        key = index * len(self.fmt.objectives) + rows["objective"].to_numpy()
        key = np.where(known, key, -1)
        repeated = known & (self.seen[key] | ~pl.Series(key).is_first_distinct().to_numpy())
        self.seen[key[known]] = True
        query = self.fmt.query
        return [
            *_faults(line, ~known, lambda i: f"{query} {session[i]} is no query; drop the row"),
            *_faults(line, repeated, lambda i: f"row {name[i]} appears twice; keep one"),
        ]

    def _item_faults(self, rows: pl.DataFrame) -> list[Fault]:
        """List rows with too many or too few items, an unknown item, or an item twice."""
        line, items, k = rows["line"].to_numpy(), rows["items"], self.fmt.k
        lists = items.str.split(self.fmt.separator)
        length = lists.list.len().to_numpy().astype(np.int64)
        ids = integers(lists.explode(empty_as_null=False))
        row = np.repeat(np.arange(line.size), length)
        unknown = np.zeros(line.size, np.bool_)
        if self.items is not None:
            unknown[row[~ids.is_in(pl.Series(self.items).implode()).to_numpy()]] = True
        table = self._first_k(ids.to_numpy(), row, length)
        table.sort(axis=1)
        repeated = (table[:, 1:] == table[:, :-1]).any(axis=1)
        wrong_length = (length != k) if self.fmt.exact else (length > k)
        limit = f"write {k}" if self.fmt.exact else f"write at most {k}"
        return [
            *_faults(line, wrong_length, lambda i: f"{length[i]} items; {limit}"),
            *_faults(line, unknown, lambda i: f"unknown item in {items[i][:60]}; write raw ids"),
            *_faults(line, repeated, lambda i: f"an item twice in {items[i][:60]}; keep one"),
        ]

    def _first_k(self, item: I64, row: I64, length: I64) -> I64:
        """Put the first k items of each row into a table (rows, k).

        Free cells get different negative numbers, so that they are no duplicates.
        """
        k = self.fmt.k
        column = positions(offsets_of_sizes(length))
        fits = column < k
        table = np.broadcast_to(-1 - np.arange(k), (length.size, k)).copy()
        table[row[fits], column[fits]] = item[fits]
        return table

    def missing(self) -> list[str]:
        """List the first queries and objectives without a row."""
        n = len(self.fmt.objectives)
        keys = np.flatnonzero(~self.seen)[:MAX_FAULTS]
        return [f"no row {self.fmt.name(self.queries[key // n], key % n)}; add it" for key in keys]


def integers(digits: pl.Series) -> pl.Series:
    """Parse digits to Int64; -1, which is no id, for a larger number."""
    return digits.cast(pl.Int64, strict=False).fill_null(-1)


def _faults(line: I64, wrong: Bool, message: Callable[[int], str]) -> list[Fault]:
    return [Fault(int(line[i]), message(int(i))) for i in np.flatnonzero(wrong)[:MAX_FAULTS]]
