"""Any bytes as a log of interactions, or as a table of items: read, or refused with one line.

pytest tests/datasets/test_any_bytes_as_log.py
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_any_bytes import damaged, read_or_refused

from src.datasets.interactions.rows import MISSING, RowReader
from src.datasets.interactions.sources import find_sources, open_table
from src.datasets.interactions.tables import attributes, read_table

LOG = b"user,item,time,type\na,x y,1398000000,view\nb,z,1398000001,buy\nb,x y,1398000007,view\n"
RATED = b"user::item::rating::time\n1::2::3.5::1398000000\n1::7::1::1398000001\n"
TABLE = b'item_id,title,genres,year\n1,A,a|b,1999\n2,B,b,2003\n3,"C, D",,\n'


def rows_of(path: Path) -> list[tuple[object, ...]]:
    sources = find_sources(path, "")
    return [row for log in sources.logs for rows in RowReader(*log) for row in rows.rows()]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120) | damaged(LOG) | damaged(RATED))
def test_any_bytes_as_a_log(data: bytes) -> None:
    rows = read_or_refused(rows_of, "log.csv", data)
    plain = data.startswith(b"user,item,time,type\n") and not set(b'"\r') & set(data)
    if rows is None or not plain:
        return
    lines = data.decode().removesuffix("\n").split("\n")[1:]
    cells = [(*line.split(","), "", "", "")[:4] for line in lines]
    known = [[None if cell in MISSING else cell for cell in row] for row in cells]
    assert [(user, item, kind) for user, item, _, kind, _ in rows] == [
        (user, item, kind) for user, item, _, kind in known
    ]
    times = [None if row[2] is None else int(float(row[2]) * 1000) for row in known]
    assert [row[2] for row in rows] == times or any("." in (row[2] or "") for row in known)


def table_of(path: Path) -> object:
    return attributes(read_table(open_table(path, False), "item"))[0].rows()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120) | damaged(TABLE))
def test_any_bytes_as_a_table_of_items(data: bytes) -> None:
    rows = read_or_refused(table_of, "items.csv", data)
    assert rows is None or isinstance(rows, list)


@pytest.mark.parametrize("data", [b"\x0bitem", b"item,a,a\n1,2,3\n", b"item\r1\n", b"\x1citem,b\n"])
def test_strange_headers_of_a_table(data: bytes) -> None:
    rows = read_or_refused(table_of, "items.csv", data)
    assert rows is None or isinstance(rows, list)


def test_python_reads_the_same_quotes(tmp_path: Path) -> None:
    names = ["a,b", 'say "x"', " c ", "é", "'d'"]
    with open(tmp_path / "log.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("user", "item", "time"), *((n, n, 1398000000) for n in names)])
    assert [row[:2] for row in rows_of(tmp_path / "log.csv")] == [(n, n) for n in names]
