"""The rows of a submission: read in blocks, and all that a competition would refuse in them.

A row is a name (a query and, where there are several, an objective), a comma, and its items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.arrays import I64
from src.core.text_blocks import blocks

TOLD = 10  # faults
BLOCK = 32 << 20  # bytes read at a time
NUMBER = "(?:0|[1-9][0-9]{0,18})"

TRUTH = pl.Schema({"session": pl.Int64, "objective": pl.Int64, "item": pl.Int64})
"""What came true, in raw ids; each once."""

Bool = NDArray[np.bool_]
Fault = tuple[int, str]
"""Line, and what is wrong there with its cure."""


@dataclass(frozen=True)
class Layout:
    """How a competition wants its rows."""

    header: str
    row: str  # the shape of a row, for people
    query: str  # what the competition calls a query
    objectives: tuple[str, ...]  # one: rows are named by the query alone
    between: str  # items
    k: int
    exactly: bool  # k items; else up to k

    @property
    def named(self) -> bool:
        """Whether the objective is a part of a row's name."""
        return len(self.objectives) > 1

    def name(self, query: int, objective: int) -> str:
        return f"{query}_{self.objectives[objective]}" if self.named else f"{query}"

    @property
    def pattern(self) -> str:
        """A row of the right shape."""
        names = f"_(?:{'|'.join(map(re.escape, self.objectives))})" if self.named else ""
        return f"^{NUMBER}{names},{NUMBER}(?:{self.between}{NUMBER})*$"


@dataclass(frozen=True)
class Asked:
    """What the raw files ask for: raw ids of the queries, and of the items that may be named."""

    queries: I64
    items: I64 | None  # None: the files that know are not there


def check(path: Path, layout: Layout, asked: Asked) -> list[str]:
    """The first ten faults of a submission, with line and cure."""
    checked = Check(layout, np.unique(asked.queries), asked.items)
    faults = _header(path, layout)
    for block, first in _blocks(path):
        faults += checked.lines(block, first)
        if len(faults) >= TOLD:
            break
    else:
        faults += checked.missing()
    return faults[:TOLD]


def there(path: Path) -> None:
    """FileNotFoundError, at once, for a submission that is not there: other files take minutes."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} not found; name the submission with FILE=")


def read(path: Path, layout: Layout) -> Iterator[pl.DataFrame]:
    """Blocks of rows: line, name, session, objective, items (text); ValueError for a wrong line."""
    faults = _header(path, layout)
    for block, first in _blocks(path):
        rows, odd = _rows(block, first, layout)
        faults += [f"line {line}: {what}" for line, what in odd]
        if faults:
            break
        yield rows
    if faults:
        raise ValueError(f"{path}, {faults[0]} (make check lists the first ten faults)")


def _header(path: Path, layout: Layout) -> list[str]:
    """The fault of the first line, if it has one."""
    first = next(blocks(path, BLOCK), (1, b""))[1].partition(b"\n")[0]
    header = first.decode(errors="replace").rstrip("\r")
    if header == layout.header:
        return []
    return [f"line 1: the header is {header[:60]!r}, not {layout.header!r}; write that line first"]


def _blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Whole lines behind the header, and the number of the first."""
    for line, block in blocks(path, BLOCK):
        yield (block, line) if line > 1 else (block.partition(b"\n")[2], 2)


def _rows(block: bytes, first: int, layout: Layout) -> tuple[pl.DataFrame, list[Fault]]:
    """Rows of the right shape, and what is wrong with the first others."""
    text = block if block.isascii() else block.decode(errors="replace").encode()
    lines = pl.read_lines(
        BytesIO(text), name="text", row_index_name="line", row_index_offset=first
    ).with_columns(pl.col("text").str.strip_suffix("\r"))
    right = lines["text"].str.contains(layout.pattern)
    odd = lines.filter(~right).head(TOLD)
    halves = pl.col("text").str.splitn(",", 2).struct.rename_fields(["name", "items"])
    rows = lines.filter(right).select("line", halves).unnest("text")
    parts = rows["name"].str.splitn("_", 2).struct.rename_fields(["session", "objective"]).struct
    objective = pl.Series(np.zeros(rows.height, np.int8))
    if layout.named:
        names = pl.Enum(layout.objectives)
        objective = parts.field("objective").cast(names).to_physical().cast(pl.Int8)
    rows = rows.with_columns(session=integers(parts.field("session")), objective=objective)
    return rows, [(line, _why(text, layout)) for line, text in odd.iter_rows()]


def _why(text: str, layout: Layout) -> str:
    """What is wrong with a line that is not a row."""
    name, comma, items = text.partition(",")
    session, _, objective = name.rpartition("_") if layout.named else (name, "", "")
    if not comma or not re.fullmatch(NUMBER, session):
        return f"{text[:40]!r} is not {layout.row}; write it so"
    if layout.named and objective not in layout.objectives:
        return f"unknown objective {objective!r}; they are {', '.join(layout.objectives)}"
    if not items.strip():
        return f"row {name} has no items; give it some"
    between = "blank" if layout.between == " " else "comma"
    return f"items {items[:40]!r} are not whole numbers; write raw ids, one {between} apart"


@dataclass
class Check:
    """Which rows were there so far; queries are sorted."""

    layout: Layout
    queries: I64
    known: I64 | None
    seen: Bool = field(init=False)

    def __post_init__(self) -> None:
        self.seen = np.zeros(self.queries.size * len(self.layout.objectives), np.bool_)

    def lines(self, block: bytes, first: int) -> list[str]:
        """Faults of whole lines, the first being line `first` of the file."""
        rows, found = _rows(block, first, self.layout)
        found += self._names(rows) + self._items(rows)
        return [f"line {line}: {what}" for line, what in sorted(found)]

    def _names(self, rows: pl.DataFrame) -> list[Fault]:
        """Rows nobody asked for, and rows that were there before."""
        line, name, session = rows["line"].to_numpy(), rows["name"], rows["session"].to_numpy()
        at = np.searchsorted(self.queries, session)
        at[at == self.queries.size] = 0
        wanted = self.queries[at] == session
        key = at * len(self.layout.objectives) + rows["objective"].to_numpy()
        key = np.where(wanted, key, -1)
        again = wanted & (self.seen[key] | ~pl.Series(key).is_first_distinct().to_numpy())
        self.seen[key[wanted]] = True
        query = self.layout.query
        return [
            *_tell(line, ~wanted, lambda i: f"{query} {session[i]} is not asked for; drop the row"),
            *_tell(line, again, lambda i: f"row {name[i]} stands twice; keep one"),
        ]

    def _items(self, rows: pl.DataFrame) -> list[Fault]:
        """Too many or too few, unknown and repeated items of each row."""
        line, items, k = rows["line"].to_numpy(), rows["items"], self.layout.k
        lists = items.str.split(self.layout.between)
        length = lists.list.len().to_numpy().astype(np.int64)
        ids = integers(lists.explode(empty_as_null=False))
        item, row = ids.to_numpy(), np.repeat(np.arange(line.size), length)
        unknown = np.zeros(line.size, np.bool_)
        if self.known is not None:
            known = ids.is_in(pl.Series(self.known).implode()).to_numpy()
            unknown[row[~known]] = True
        column = np.arange(item.size) - np.repeat(np.cumsum(length) - length, length)
        fits = column < k
        table = np.broadcast_to(-1 - np.arange(k), (line.size, k)).copy()
        table[row[fits], column[fits]] = item[fits]
        table.sort(axis=1)
        twice = (table[:, 1:] == table[:, :-1]).any(axis=1)
        odd = (length != k) if self.layout.exactly else (length > k)
        limit = f"write {k}" if self.layout.exactly else f"write at most {k}"
        return [
            *_tell(line, odd, lambda i: f"{length[i]} items; {limit}"),
            *_tell(line, unknown, lambda i: f"unknown item among {items[i][:60]}; write raw ids"),
            *_tell(line, twice, lambda i: f"an item twice among {items[i][:60]}; name it once"),
        ]

    def missing(self) -> list[str]:
        """Queries and objectives without a row."""
        n = len(self.layout.objectives)
        lost = [(self.queries[i // n], i % n) for i in np.flatnonzero(~self.seen)[:TOLD]]
        return [f"no row {self.layout.name(*of)}; add it" for of in lost]


def integers(digits: pl.Series) -> pl.Series:
    """Numbers; -1, which no id is, where Int64 is too small."""
    return digits.cast(pl.Int64, strict=False).fill_null(-1)


def _tell(line: I64, wrong: Bool, what: Callable[[int], str]) -> list[Fault]:
    return [(int(line[i]), what(int(i))) for i in np.flatnonzero(wrong)[:TOLD]]
