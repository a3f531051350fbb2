"""Find the files of a log, and of its tables of items and users; read their first rows."""

from __future__ import annotations

import csv
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from src.core.text_blocks import blocks
from src.datasets.interactions.columns import (
    SHOWN,
    Columns,
    by_number,
    find_columns,
    parse_columns,
)

SUFFIXES = (".csv", ".tsv", ".dat", ".inter", ".item", ".user", ".parquet")
PACKED = (".gz", ".zst")
SEPARATORS = ("::", "\t", ";", "|", ",")
UNQUOTED = (".dat", ".inter", ".item", ".user")  # a quote mark in them is a letter like others
HEAD = 1 << 16  # bytes read to see the first rows
ITEMS, USERS, TEST_USERS = "items", "users", "test_users"
TABLES = {ITEMS: ".item", USERS: ".user", TEST_USERS: ""}
"""Name of a table's file -> suffix that RecBole gives it."""


@dataclass(frozen=True)
class Table:
    """A text or parquet file with rows of equal columns."""

    path: Path
    separator: str  # "" for parquet
    names: tuple[str, ...]  # of the header; of a file without one, its first row
    has_header: bool

    @property
    def is_parquet(self) -> bool:
        return self.separator == ""

    @property
    def quote(self) -> str | None:
        """The quote mark of texts; None where it is a letter like others."""
        return None if kind(self.path) in UNQUOTED else '"'

    @property
    def key(self) -> tuple[str, int, int]:
        """Name, size and time of the file, by which a change is seen."""
        stat = self.path.stat()
        return self.path.name, stat.st_size, stat.st_mtime_ns


@dataclass(frozen=True)
class Sources:
    """The files of a run."""

    logs: tuple[tuple[Table, Columns], ...]
    tables: dict[str, Table]  # by ITEMS, USERS, TEST_USERS
    ignored: tuple[str, ...]  # names of files without the columns of a log
    shuffle: int | None = None  # seed of the order in which items are numbered; None: that of ids

    @property
    def who(self) -> str:
        """Whom lists are made for: "session" or "user"."""
        return self.logs[0][1].who

    @property
    def key(self) -> list[tuple[str, int, int]]:
        """What a change of any file changes."""
        return [table.key for table in (*(log for log, _ in self.logs), *self.tables.values())]


def kind(path: Path) -> str:
    """Return the suffix of a file, lower case, without that of a compressed one."""
    plain = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return plain.suffix.lower()


def find_sources(given: Path, flag: str) -> Sources:
    """Find the files of a folder, or the one that is given and the tables beside it.

    flag: the value of --columns; with numbers, a file of fewer columns is no log. Raises
    FileNotFoundError or ValueError with the cure where there is no log, or where two files of the
    log have different columns.
    """
    if not given.exists():
        raise FileNotFoundError(f"{given} not found; name the folder or file of the log, --input")
    folder, chosen = (given if given.is_dir() else given.parent), parse_columns(flag)
    files = sorted(path for path in folder.iterdir() if path.is_file() and kind(path) in SUFFIXES)
    tables = {name: path for path in files if (name := _table_name(path))}
    logs = [path for path in files if not _table_name(path)] if given.is_dir() else [given]
    if not logs:
        raise FileNotFoundError(
            f"{folder} has no {', '.join(SUFFIXES)} file; name the log, --input"
        )
    found, ignored, too_few = [], [], []
    for path in logs:
        table = open_table(path, by_number(chosen))
        try:
            columns = find_columns(list(table.names), chosen)
        except ValueError as error:
            too_few.append(ValueError(f"{path}: {error}; mend --columns"))
            if not by_number(chosen):
                raise too_few[0] from None
            columns = None
        if columns:
            found.append((table, columns))
        else:
            ignored.append(path)
    if not found:
        raise too_few[0] if too_few else ValueError(_no_columns(ignored[0]))
    _refuse_differences(found)
    opened = {name: open_table(path, False) for name, path in tables.items()}
    return Sources(tuple(found), opened, tuple(path.name for path in ignored))


def _table_name(path: Path) -> str:
    """Name the table that a file is, "" for a log."""
    stem = path.name.partition(".")[0].lower()
    return next(
        (name for name, suffix in TABLES.items() if stem == name or suffix == kind(path) != ""), ""
    )


def open_table(path: Path, by_number: bool) -> Table:
    """Read the first rows of a file; raise ValueError for an empty one.

    by_number: columns are chosen by number, so that there is no header.
    """
    if kind(path) == ".parquet":
        try:
            return Table(path, "", tuple(pq.read_schema(path).names), True)
        except pa.ArrowException as error:
            fault = str(error).splitlines()[0]
            raise ValueError(f"{path}: {fault}; save it again, or remove it") from None
    rows = first_lines(path)
    if not rows:
        raise ValueError(f"{path} is empty; give a file with rows, or remove it")
    counts = {s: rows[0].count(s) for s in SEPARATORS if s in rows[0]}
    steady = {s: n for s, n in counts.items() if all(row.count(s) == n for row in rows)}
    counts = steady or counts or {SEPARATORS[-1]: 0}
    separator = max(counts, key=lambda s: counts[s] * len(s))
    return Table(path, separator, tuple(split(rows[0], separator)), not by_number)


def first_lines(path: Path, n: int = 5) -> list[str]:
    """Return the first lines of a text file that are not blank; ValueError for UTF-16."""
    for _, block in blocks(path, HEAD):
        if block.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise ValueError(f"{path} is UTF-16; save it as UTF-8")
        text = block.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        return [line for line in text.split("\n") if line.strip()][:n]
    return []


def split(line: str, separator: str) -> list[str]:
    """Split a line into its fields."""
    if len(separator) > 1:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator))


def _no_columns(path: Path) -> str:
    """Say that a file has no header that names a user and an item; suggest the flag."""
    row = (first_lines(path, 1) or [""])[0][:SHOWN]
    return (
        f"{path}, line 1: no user (or session) and item column in {row!r}; name the columns, "
        "--columns user=uid,item=iid,time=ts, or by number where there is no header, "
        "--columns user=1,item=2,time=3"
    )


def _refuse_differences(found: list[tuple[Table, Columns]]) -> None:
    """Raise ValueError where a file lacks a column that another one has."""

    def roles(columns: Columns) -> tuple[object, ...]:
        optional = columns.type, columns.rating
        return (columns.who, len(columns.time), *(number is None for number in optional))

    (first, columns), *others = found
    for table, other in others:
        if roles(other) != roles(columns):
            raise ValueError(
                f"{table.path}: its columns are not those of {first.path.name}; move one of both "
                f"out of the folder, or name the file: --input {first.path}"
            )
