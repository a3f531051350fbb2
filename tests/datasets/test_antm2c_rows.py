"""Rows of AntM2C's form: fields, numbers, lines and times; bad ones go into quarantine.

pytest tests/datasets/test_antm2c_rows.py
"""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from antm2c import planted, prepare, row, small_blocks, write
from hypothesis import given, settings
from hypothesis import strategies as st

from src.datasets.antm2c.columns import COLUMNS, LABEL
from src.datasets.antm2c.csv_blocks import parse
from src.datasets.antm2c.files import read_typed
from src.datasets.antm2c.row_blocks import RowBlock, blocks_of, line_blocks, row_blocks, scan

ODD = [
    row(1, 1, item_title='车,"险"'),
    row(2, 2, item_title="一\n二\n三"),
    "1,2,3",  # line 6
    row(3, 3),
    row(4, 4, click="maybe"),  # line 8
    row(5, 5, log_time="2023-02-30 10:00:00"),
    row(6, 6, item_id=""),  # line 10
    '9,"a\nb",4',  # lines 11 and 12
    "",  # line 13
    row(7, 7, user_id=" 7 ", **{LABEL: " 1 "}),
    row(8, 8, item_title="\udcff"),  # a byte that is not UTF-8, line 15
    row(9, 9),
]
REASONS = {
    6: "3 fields, the header has 37",
    8: "label is 'maybe', not 0 or 1",
    9: "log_time is '2023-02-30 10:00:00', not a time like",
    10: "item_id is '', not a whole number",
    11: "3 fields, the header has 37",
    13: "user_id is '', not a whole number",
    15: "not UTF-8 text",
}
GOOD = {1: 2, 2: 3, 3: 7, 7: 14, 9: 16}
"""First line of each good row, by its user."""


def write_odd(path: Path) -> Path:
    text = write(path, [{k: v for k, v in r.items() if v != "\udcff"} | (
        {"item_title": "@"} if r.get("item_title") == "\udcff" else {}
    ) if isinstance(r, dict) else r for r in ODD]).read_bytes()  # fmt: skip
    path.write_bytes(text.replace(b"@", b"\xff"))
    return path


@pytest.mark.parametrize("block", [1 << 24, 60])
def test_what_becomes_of_each_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """A block may end between any rows."""
    small_blocks(monkeypatch, block)
    found = list(read_typed(write_odd(tmp_path / "a.csv")))
    assert len(found) == 1 or block < 1000
    rows, bad = (pl.concat(tables) for tables in zip(*found, strict=True))
    assert dict(zip(rows["user_id"], rows["line"], strict=True)) == GOOD
    told = dict(zip(bad["line"], bad["reason"], strict=True))
    assert list(told) == list(REASONS)
    assert all(told[line].startswith(reason) for line, reason in REASONS.items())
    assert sorted([*rows["row"], *bad["row"]]) == list(range(len(ODD))), "each row is somewhere"
    assert rows["item_title"].to_list()[:2] == ['车,"险"', "一\n二\n三"]
    assert rows[LABEL].to_list() == [0, 0, 0, 1, 0]
    first = datetime(2023, 7, 10, 1)
    assert [pl.from_epoch(rows["ts"])[n] for n in (0, 1)] == [first, first.replace(hour=2)]


fields = st.text(st.sampled_from('a7,"\n；险 '), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.tuples(fields, fields), min_size=1, max_size=12), block=st.integers(50, 300)
)
def test_fields_and_lines_are_those_of_the_csv_module(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]], block: int
) -> None:
    """Commas, quotes and line breaks in quotes, in rows that a block may cut."""
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write(path, [row(n, bill_entity_seq=a, item_title=b) for n, (a, b) in enumerate(texts)])
    with open(path, newline="") as file, pytest.MonkeyPatch.context() as patch:
        small_blocks(patch, block)
        found = [parse(b, COLUMNS) for b in blocks_of(path)]
        wanted = [(told["bill_entity_seq"], told["item_title"]) for told in csv.DictReader(file)]
    text = pl.concat([b.text for b in found]).fill_null("")
    assert list(text.select("bill_entity_seq", "item_title").iter_rows()) == wanted
    assert not [bad for b in found for bad in b.bad]
    breaks = ["".join(values).count("\n") for values in wanted]
    assert [int(line) for b in found for line in b.line] == [
        2 + n + sum(breaks[:n]) for n in range(len(wanted))
    ]


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from('a,"\n\r'), min_size=1, max_size=40), st.integers(1, 9))
def test_blocks_are_cut_where_rows_end(
    tmp_path_factory: pytest.TempPathFactory, text: str, block: int
) -> None:
    """Any text: quotes that do not end, or stand within a field; both readings of each block."""
    path = tmp_path_factory.mktemp("cut") / "a.csv"
    path.write_text("item_id,label\n" + text, newline="")
    whole = parse(RowBlock(path, 14, 14 + len(text), 0, 2), ("item_id", "label"))
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch, block)
        try:
            cut = blocks_of(path)
        except ValueError as error:
            assert "a row of more than" in str(error)
            return
        lines = line_blocks(path)
        both = [(scan(part, False), scan(part, True)) for part in lines]
        assert row_blocks(path, lines, lambda n, quoted: both[n][quoted]) == cut
    assert "".join(part.read().decode() for part in cut) == text
    found = [parse(part, ("item_id", "label")) for part in cut]
    assert np.concatenate([b.row for b in found]).tolist() == whole.row.tolist()
    assert pl.concat([b.text for b in found]).equals(whole.text)
    assert [bad.row for b in found for bad in b.bad] == [bad.row for bad in whole.bad]


def test_quarantine_lists_the_bad_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = planted(300, 1)
    rows[7][LABEL], rows[100]["user_id"] = "2", "x"
    write(tmp_path / "in" / "a.csv", rows)
    write(tmp_path / "in" / "b.csv", ["1,2", *planted(100, 2)])
    assert prepare(monkeypatch, tmp_path) == 0
    table = pl.read_csv(tmp_path / "out" / "quarantine.csv")
    assert list(table.select("file", "row", "line").iter_rows()) == [
        ("a.csv", 7, 9), ("a.csv", 100, 102), ("b.csv", 0, 2)]  # fmt: skip
    sizes = [
        pl.read_parquet(tmp_path / "out" / name / "sessions.parquet").height
        for name in ("train_1", "valid", "test")
    ]
    assert sum(sizes) + table.height == 401


def test_too_many_bad_rows_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = planted(100, 1)
    for n in (3, 50):
        rows[n]["log_time"] = "soon"
    write(tmp_path / "in" / "a.csv", rows)
    assert prepare(monkeypatch, tmp_path) == 2
    error = capsys.readouterr().err
    assert "a.csv, line 5: log_time is 'soon'" in error and error.count("\n") == 1
    assert "2 of 100 rows are bad, more than --max-bad 0.01" in error
    assert pl.read_csv(tmp_path / "out" / "quarantine.csv").height == 2, "to see which"
    assert prepare(monkeypatch, tmp_path, "--max-bad", "0.02") == 0
