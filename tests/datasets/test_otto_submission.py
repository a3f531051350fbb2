"""The organisers' submission format, written and checked.

pytest tests/datasets/test_otto_submission.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import worlds
from final import final_list
from planted import run_in
from worlds import OTTO, TYPES

from src.core import store
from src.core.run import Run
from src.datasets import submission_rows as submissions
from src.datasets.submission_rows import Expected

QUERIES = np.array([90, 7, 2**62])
ITEM_IDS = np.array([0, 11, 22, 33, 2**62])
EXPECTED = Expected(QUERIES, ITEM_IDS)
FORMAT = replace(OTTO.submission_format(), k=3)
HEADER = "session_type,labels"


@pytest.fixture
def run(tmp_path) -> Run:
    """A prepared output folder: three queries after one session of history, five items."""
    (tmp_path / "test").mkdir()
    sessions = {"session": [5, *QUERIES], "query": [False, True, True, True]}
    pl.DataFrame(sessions).write_parquet(tmp_path / "test" / "sessions.parquet")
    pl.DataFrame({"item_id": ITEM_IDS}).write_parquet(tmp_path / "items.parquet")
    return run_in(tmp_path, worlds.TINY, "7_blend.py", dataset=OTTO)


def some_lists() -> dict:
    """Dense sessions and items of each objective; the order of the queries is free."""
    items = [[0, 4, 3], [2], [1, 0]]
    queries = {"clicks": (1, 2, 3), "carts": (3, 1, 2), "orders": (3, 1, 2)}
    return {name: final_list(sessions, items) for name, sessions in queries.items()}


def written(run: Run, lists: dict) -> None:
    """As step 7 does it."""
    path = run.output / "submission.csv"
    store.build(path, {}, lambda part: OTTO.write_submission(run, "test", lists, part))


def test_rows_hold_raw_ids_best_first(run):
    written(run, some_lists())
    lines = (run.output / "submission.csv").read_text().splitlines()
    assert lines[:4] == [HEADER, f"90_clicks,0 {2**62} 33", "7_clicks,22", f"{2**62}_clicks,11 0"]
    assert f"{2**62}_orders,0 {2**62} 33" in lines and len(lines) == 10
    assert not list(run.output.glob(".part-*"))


def test_a_refused_submission_leaves_the_old_one(run):
    (run.output / "submission.csv").write_text("old")
    lists = some_lists()
    lists["carts"] = final_list((3, 1, 2), [[0, 4, 3], [], [1, 0]])
    with pytest.raises(ValueError, match=r"would be refused: line 6: row 90_carts has no items"):
        written(run, lists)
    del lists["carts"]
    with pytest.raises(ValueError, match=r"no row 7_carts"):
        written(run, lists)
    lists = some_lists()
    lists["orders"] = final_list((3, 1, 2), [[2, 2, 2], [2], [1, 0]])
    with pytest.raises(ValueError, match=r"an item twice in 22 22 22"):
        written(run, lists)
    assert (run.output / "submission.csv").read_text() == "old"
    assert not list(run.output.glob(".part-*"))


def rows() -> list[str]:
    return [HEADER, *(f"{q}_{name},0 11 22" for q in QUERIES for name in TYPES)]


def check(tmp_path, lines: list[str], end: str = "\n") -> list[str]:
    path = tmp_path / "submission.csv"
    path.write_text("\n".join(lines) + end, encoding="latin-1")
    return submissions.check(path, FORMAT, EXPECTED)


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_right_file_has_no_faults(tmp_path, end):
    assert check(tmp_path, rows(), end) == []
    assert check(tmp_path, [row + "\r" for row in rows()], end) == [], "as Windows ends lines"
    assert check(tmp_path, [HEADER, *sorted(rows()[1:])], end) == [], "order is free"


FAULTS = {
    "unknown session": ("8_clicks,0", "line 3: session 8 is no query; drop the row"),
    "session too big": (f"{10**19 - 1}_clicks,0", "line 3: session -1 is no query"),
    "negative session": ("-7_carts,0", "line 3: '-7_carts,0' is not <session>_<objective>,<items>"),
    "no number": ("x_carts,0", "line 3: 'x_carts,0' is not <session>_<objective>,<items>"),
    "unknown objective": ("90_views,0", "line 3: unknown objective 'views'; they are clicks"),
    "twice": ("90_clicks,0", "line 3: row 90_clicks appears twice; keep one"),
    "no items": ("90_carts,", "line 3: row 90_carts has no items; give it some"),
    "only a blank": ("90_carts, ", "line 3: row 90_carts has no items; give it some"),
    "no comma": ("90_carts", "line 3: '90_carts' is not"),
    "blank line": ("", "line 3: '' is not"),
    "too many": ("90_carts,0 11 22 33", "line 3: 4 items; write at most 3"),
    "an item twice": ("90_carts,11 0 11", "line 3: an item twice in 11 0 11; keep one"),
    "an unknown item": ("90_carts,0 12", "line 3: unknown item in 0 12; write raw ids"),
    "an item too big": (f"90_carts,{2**63}", "line 3: unknown item in 9223372036854775808"),
    "a fraction": ("90_carts,1.0", "line 3: items '1.0' are not whole numbers"),
    "not a number": ("90_carts,nan", "line 3: items 'nan' are not whole numbers"),
    "zero first": (
        "90_carts,011",
        "line 3: items '011' are not whole numbers; write raw ids",
    ),
    "two blanks": ("90_carts,0  11", "line 3: items '0  11' are not whole numbers"),
    "not UTF-8": ("90_carts,\xff", "are not whole numbers"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_its_line(tmp_path, fault):
    text, message = FAULTS[fault]
    lines = rows()
    lines[2] = text
    found = check(tmp_path, lines)
    assert message in found[0]
    assert len(found) == 1 or found[1:] == ["no row 90_carts; add it"]


def test_faults_of_whole_files(tmp_path):
    assert check(tmp_path, ["session,labels", *rows()[1:]])[0].startswith("line 1: the header is")
    told = f"line 1: the header is '', not {HEADER!r}; write that line first"
    assert check(tmp_path, [])[0] == told
    assert check(tmp_path, rows()[:-2]) == [
        f"no row {2**62}_carts; add it",
        f"no row {2**62}_orders; add it",
    ]
    assert len(check(tmp_path, [HEADER])) == 9
    assert len(check(tmp_path, [HEADER, *["?"] * 50])) == 10
    twice = "line 11: row 7_clicks appears twice; keep one"
    assert check(tmp_path, [*rows(), rows()[4]]) == [twice]


def test_a_large_file_is_checked_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("src.datasets.submission_rows.BATCH", 1 << 20)
    n, rng = 60_000, np.random.default_rng(0)
    path = tmp_path / "submission.csv"
    items = rng.integers(0, 10**6, n)
    lines = [f"{n // 2}_{TYPES[n % 2]},{a} {a + 1}" for n, a in enumerate(items)]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    known = np.arange(10**6 + 2)
    fmt = replace(FORMAT, objectives=TYPES[:2], k=20)
    expected = Expected(np.arange(n // 2), known)
    assert submissions.check(path, fmt, expected) == []
    lines[59_990] = lines[3]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    wanted = ["line 59992: row 1_carts appears twice; keep one", "no row 29995_clicks; add it"]
    assert submissions.check(path, fmt, expected) == wanted
