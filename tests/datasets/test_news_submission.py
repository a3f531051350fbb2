"""A ranked list a user, written and checked.

pytest tests/datasets/test_news_submission.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import worlds
from final import final_list
from planted import run_in

from src.core import store
from src.core.run import Run
from src.data.schemas import EVENTS
from src.datasets.fill_up import fill_up
from src.datasets.submission_rows import Expected, check
from src.metrics.mrr import MRR

USERS, ITEM_IDS = np.array([7, 90]), np.array([0, 11, 22, 33, 44])
NEWS = replace(worlds.NEWS, recipe=replace(worlds.NEWS.recipe, metric=MRR(3)))
FORMAT = NEWS.submission_format()
WHOLE = "are not whole numbers; write raw ids, one comma apart"
HEADER = "user_id,article_1,article_2,article_3"
GOOD = ["7,0,11,22", "90,33,22,11"]


@pytest.fixture
def run(tmp_path) -> Run:
    """Two queries after one session of history; item 3 is the favourite of the last day."""
    (tmp_path / "test").mkdir()
    sessions = {"session": [5, *USERS], "query": [False, True, True]}
    pl.DataFrame(sessions).write_parquet(tmp_path / "test" / "sessions.parquet")
    pl.DataFrame({"item_id": ITEM_IDS}).write_parquet(tmp_path / "items.parquet")
    old, new = [(0, 4, 100, 0)] * 3, [(0, 3, 200_000, 0)] * 2 + [(0, 1, 200_000, 0)]
    events = pl.DataFrame(old + new, EVENTS, orient="row")
    events.write_parquet(tmp_path / "test" / "events.parquet")
    return run_in(tmp_path, NEWS.recipe, "7_blend.py", dataset=NEWS)


def written(run: Run, lists: dict) -> None:
    """As step 7 does it."""
    path = run.output / "submission.csv"
    store.build(path, {}, lambda part: NEWS.write_submission(run, "test", lists, part))


def test_rows_hold_raw_ids_best_first_and_are_filled_up(run) -> None:
    lists = {"ends": final_list([2], [[3, 2]])}
    written(run, lists)
    lines = (run.output / "submission.csv").read_text().splitlines()
    assert lines == [HEADER, "7,33,11,0", "90,33,22,11"], "user 7 gets what the last day read"
    assert not list(run.output.glob(".part-*"))


def test_a_refused_submission_leaves_the_old_one(run) -> None:
    (run.output / "submission.csv").write_text("old")
    lists = {"ends": final_list([1, 2], [[3, 3, 1], [0, 1, 2]])}
    with pytest.raises(ValueError, match="would be refused: line 2: an item twice"):
        written(run, lists)
    assert (run.output / "submission.csv").read_text() == "old"
    assert not list(run.output.glob(".part-*"))


def test_too_few_items_to_fill_up(run) -> None:
    lists, spare = np.array([[0, -1, -1]], np.int32), np.array([1, 0], np.int32)
    assert fill_up(lists, spare).tolist() == [[0, 1, -1]]
    assert fill_up(lists, np.array([0, 2, 1], np.int32)).tolist() == [[0, 2, 1]]
    pl.DataFrame({"item_id": [0, 11]}).write_parquet(run.output / "items.parquet")
    events = pl.DataFrame([(0, 1, 100, 0)], EVENTS, orient="row")
    events.write_parquet(run.output / "test" / "events.parquet")
    with pytest.raises(ValueError, match="fewer than 3 items"):
        written(run, {"ends": final_list([1], [[1]])})


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        (GOOD, []),
        (GOOD[::-1], []),
        (GOOD[:1], ["no row 90; add it"]),
        ([*GOOD, GOOD[0]], ["line 4: row 7 appears twice; keep one"]),
        (["8,0,11,22", *GOOD], ["line 2: user 8 is no query; drop the row"]),
        (["7,0,11,23", GOOD[1]], ["line 2: unknown item in 0,11,23; write raw ids"]),
        (["7,0,11,11", GOOD[1]], ["line 2: an item twice in 0,11,11; keep one"]),
        (["7,0,11", GOOD[1]], ["line 2: 2 items; write 3"]),
        (["7,0,11,22,33", GOOD[1]], ["line 2: 4 items; write 3"]),
        (["7,0,11,", GOOD[1]], [f"line 2: items '0,11,' {WHOLE}", "no row 7; add it"]),
        (["7,0,11,x", GOOD[1]], [f"line 2: items '0,11,x' {WHOLE}", "no row 7; add it"]),
        (["7", GOOD[1]], ["line 2: '7' is not <user>,<articles>; write it so", "no row 7; add it"]),
    ],
)
def test_check(tmp_path, lines, faults) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    assert check(path, FORMAT, Expected(USERS, ITEM_IDS)) == faults


def test_another_header(tmp_path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("user,a,b,c\n")
    faults = check(path, FORMAT, Expected(USERS, ITEM_IDS))
    assert faults[0].startswith("line 1: the header is 'user,a,b,c', not 'user_id,article_1")
