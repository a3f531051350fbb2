"""The organisers' submission format: written in blocks, checked as a whole, then put in place.

A row is `<session>_<objective>,<item> <item> ...`: every query and objective once, 1 to k items.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src import store
from src.events import I32, I64
from src.jsonl import blocks

if TYPE_CHECKING:
    from src.run import Run

HEADER = "session_type,labels"
TOLD = 10  # faults
QUERIES = 200_000  # written at a time
BLOCK = 32 << 20  # bytes checked at a time

Bool = NDArray[np.bool_]
Lists = dict[str, tuple[I32, I32]]
"""Per objective: dense sessions (n,) and their dense items (n, k), best first, -1 at the end."""


def write_otto(run: Run, split: str, lists: Lists) -> int:
    """Write output/submission.csv for the queries of a split; the number of rows.

    Raises ValueError, and leaves the old file, when the new one would not be accepted.
    """
    table = pl.read_parquet(run.output / split / "sessions.parquet")
    aids = pl.read_parquet(run.output / "aids.parquet")["aid"].to_numpy()
    path = run.output / "submission.csv"
    part = path.with_name(f".part-{path.name}")
    write_rows(part, lists, table["session"].to_numpy(), aids)
    queries = table.filter("query")["session"].to_numpy()
    objectives = tuple(o.name for o in run.recipe.objectives)
    if faults := check_otto(part, queries, aids, objectives, run.recipe.k):
        part.unlink()
        raise ValueError(f"{path.name} would be refused: {'; '.join(faults[:3])}")
    store.replace(part, path)
    return queries.size * len(objectives)


def write_rows(path: Path, lists: Lists, sessions: I64, aids: I64) -> None:
    """Lists as CSR rows; sessions and aids hold the raw id of each dense one."""
    with open(path, "wb") as file:
        file.write(f"{HEADER}\n".encode())
        for objective, (dense, items) in lists.items():
            for at in range(0, dense.size, QUERIES):
                some = items[at : at + QUERIES]
                raw = pl.from_numpy(np.where(some < 0, -1, aids[some]))
                texts = [pl.when(c >= 0).then(c.cast(pl.String)) for c in map(pl.col, raw.columns)]
                session = pl.Series(sessions[dense[at : at + QUERIES]])
                raw.select(
                    pl.format("{}_{}", session, pl.lit(objective)),
                    labels=pl.concat_str(texts, separator=" ", ignore_nulls=True),
                ).write_csv(file, include_header=False, quote_style="never")


def check_otto(
    path: Path, queries: I64, known: I64, objectives: tuple[str, ...], k: int
) -> list[str]:
    """The first ten faults of a submission; raw ids of the queries and of the known items."""
    check = Check(np.sort(queries), known, objectives, k)
    with open(path, "rb") as file:
        header = file.readline().decode(errors="replace").rstrip("\r\n")
    if header != HEADER:
        return [f"line 1: the header is {header[:40]!r}, not {HEADER!r}"]
    for line, block in blocks(path, BLOCK):
        rest = block if line > 1 else block.partition(b"\n")[2]
        check.lines(rest, max(line, 2))
        if len(check.faults) >= TOLD:
            return check.faults[:TOLD]
    return [*check.faults, *check.missing()][:TOLD]


@dataclass
class Check:
    """Faults so far, and which rows were there; queries are sorted."""

    queries: I64
    known: I64
    objectives: tuple[str, ...]
    k: int
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen = np.zeros(self.queries.size * len(self.objectives), np.bool_)
        names = "|".join(map(re.escape, self.objectives))
        number = "(?:0|[1-9][0-9]{0,18})"
        self.row = f"^{number}_(?:{names}),{number}(?: {number})*$"

    def lines(self, block: bytes, first: int) -> None:
        """Check whole lines, the first being line `first` of the file."""
        text = block if block.isascii() else block.decode(errors="replace").encode()
        table = pl.read_lines(
            BytesIO(text), name="text", row_index_name="line", row_index_offset=first
        )
        is_row = table["text"].str.contains(self.row)
        odd = table.filter(~is_row).head(TOLD).iter_rows()
        found = [(line, _why(text, self.objectives)) for line, text in odd]
        halves = pl.col("text").str.splitn(",", 2).struct.rename_fields(["head", "items"])
        rows = table.filter(is_row).select("line", halves).unnest("text")
        found += self._rows(rows["line"].to_numpy(), rows["head"])
        found += self._items(rows["line"].to_numpy(), rows["items"])
        self.faults += [f"line {line}: {what}" for line, what in sorted(found)]

    def _rows(self, line: I64, head: pl.Series) -> list[tuple[int, str]]:
        """Rows nobody asked for, and rows that were there before."""
        parts = head.str.splitn("_", 2).struct.rename_fields(["session", "objective"]).struct
        session = _integers(parts.field("session")).to_numpy()
        names = pl.Enum(self.objectives)
        objective = parts.field("objective").cast(names).to_physical().cast(pl.Int64).to_numpy()
        at = np.searchsorted(self.queries, session)
        at[at == self.queries.size] = 0
        wanted = self.queries[at] == session
        key = np.where(wanted, at * len(self.objectives) + objective, -1)
        again = wanted & (self.seen[key] | ~pl.Series(key).is_first_distinct().to_numpy())
        self.seen[key[wanted]] = True
        return [
            *_tell(line, ~wanted, lambda i: f"session {session[i]} is not a query"),
            *_tell(line, again, lambda i: f"row {head[i]} stands twice"),
        ]

    def _items(self, line: I64, items: pl.Series) -> list[tuple[int, str]]:
        """Too many, unknown and repeated items of each row."""
        lists = items.str.split(" ")
        length = lists.list.len().to_numpy().astype(np.int64)
        ids = _integers(lists.explode(empty_as_null=False))
        aid, known = ids.to_numpy(), ids.is_in(pl.Series(self.known).implode()).to_numpy()
        unknown = np.zeros(line.size, np.bool_)
        row = np.repeat(np.arange(line.size), length)
        unknown[row[~known]] = True
        column = np.arange(aid.size) - np.repeat(np.cumsum(length) - length, length)
        fits = column < self.k
        table = np.broadcast_to(-1 - np.arange(self.k), (line.size, self.k)).copy()
        table[row[fits], column[fits]] = aid[fits]
        table.sort(axis=1)
        twice = (table[:, 1:] == table[:, :-1]).any(axis=1)
        return [
            *_tell(line, length > self.k, lambda i: f"{length[i]} items, at most {self.k}"),
            *_tell(line, unknown, lambda i: f"an unknown item among {items[i][:60]}"),
            *_tell(line, twice, lambda i: f"an item twice among {items[i][:60]}"),
        ]

    def missing(self) -> list[str]:
        """Queries and objectives without a row."""
        lost = np.flatnonzero(~self.seen)[:TOLD]
        n = len(self.objectives)
        return [f"no row {self.queries[i // n]}_{self.objectives[i % n]}" for i in lost]


def _integers(digits: pl.Series) -> pl.Series:
    """Numbers; -1, which no id is, where Int64 is too small."""
    return digits.cast(pl.Int64, strict=False).fill_null(-1)


def _tell(line: I64, wrong: Bool, what: Callable[[int], str]) -> list[tuple[int, str]]:
    return [(int(line[i]), what(int(i))) for i in np.flatnonzero(wrong)[:TOLD]]


def _why(text: str, objectives: tuple[str, ...]) -> str:
    """What is wrong with a line that is not a row."""
    head, comma, items = text.partition(",")
    session, _, objective = head.rpartition("_")
    if not comma or not session.isdecimal():
        return f"{text[:40]!r} is not <session>_<objective>,<items>"
    if objective not in objectives:
        return f"unknown objective {objective!r}; they are {', '.join(objectives)}"
    if not items.strip():
        return f"row {head} has no items"
    return f"items {items[:40]!r} are not whole numbers, one blank apart"
