"""Files of lists for a log: written, checked and scored, with ids of any text.

pytest tests/datasets/test_interactions_submission.py
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl
import pytest
from final import final_list
from planted import run_in, whole

from src.core.run import Run
from src.data.schemas import EVENTS, LABELS
from src.data.splits import Split
from src.datasets import DATASETS
from src.datasets.interactions.dataset import Interactions
from src.datasets.interactions.flags import DEFAULTS
from src.datasets.present_types import with_types
from src.metrics.recall import Recall
from src.tools import score

ANY = DATASETS["interactions"]
USERS = ["ann", "b,ob", 'c"y', "dé/1"]  # ann is history
ITEMS = ["007", "7", "a b", "x,y"]
HEADER = "user,item_1,item_2,item_3"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Three queries after a session of history; item 3 is the most frequent, then item 1."""
    events = [(0, 3, 100, 0), (0, 3, 101, 0), (0, 1, 102, 0), (1, 3, 103, 0), (1, 0, 104, 0)]
    for split in ("valid", "test"):
        (tmp_path / split).mkdir()
        query = [False, True, True, True]
        sessions = pl.DataFrame({"session": range(4), "query": query, "id": USERS})
        whole(tmp_path / split / "sessions.parquet", sessions)
        table = pl.DataFrame(events, EVENTS, orient="row")
        whole(tmp_path / split / "events.parquet", table)
    whole(tmp_path / "items.parquet", pl.DataFrame({"item_id": ITEMS}))
    splits = [Split(name, name, "", 4, 3) for name in ("valid", "test")]
    splits.append(Split("train_1", "tuning", "", 4, 3))  # the last, and not what is asked
    (tmp_path / "splits.json").write_text(json.dumps([asdict(split) for split in splits]))
    recipe = replace(with_types(ANY.recipe, {"views"}), metric=Recall(3))
    return run_in(tmp_path, recipe, "7_blend.py", dataset=of_flags(recipe, tmp_path))


def of_flags(recipe, output: Path, **flags: str) -> Interactions:
    assert isinstance(ANY, Interactions)
    return replace(ANY, recipe=recipe, flags={**DEFAULTS, **flags}, output=output)


def written(run: Run, lists: dict, **flags: str) -> list[str]:
    path = run.output / "submission.csv"
    dataset = of_flags(run.recipe, run.output, **flags)
    dataset.write_submission(run, "test", lists, path)
    return path.read_text().splitlines()


def test_ids_are_quoted_by_the_rules_of_csv(run: Run) -> None:
    lists = {"views": final_list([2, 1, 3], [[0, 1, 2], [3, 2, 1], [2, 3, 0]])}
    assert written(run, lists) == [
        HEADER, '"b,ob","x,y",a b,7', '"c""y",007,7,a b', 'dé/1,a b,"x,y",007',
    ]  # fmt: skip
    table = pl.read_csv(run.output / "submission.csv", infer_schema=False)
    assert table["user"].to_list() == USERS[1:] and set(table["item_1"]) <= set(ITEMS)


def test_short_lists_are_filled_up_with_popular_items(run: Run) -> None:
    lists = {"views": final_list([1, 3], [[2], [1, 0, 2]])}
    rows = [line.split(",", 2) for line in written(run, lists)[1:]]
    assert rows[0] == ['"b', 'ob"', 'a b,"x,y",007'], "as often as 7, and before it"
    assert rows[1] == ['"c""y"', '"x', 'y",007,7'], "a query without any candidate"
    unseen = written(run, lists, candidates="unseen")
    assert unseen[1] == '"b,ob",a b,7,', "the user has had x,y and 007; nothing else is left"
    held_out = written(run, {"views": final_list([1, 3], [[2], [1]])}, candidates="held-out")
    assert held_out[1:] == ['"b,ob",a b,,', '"c""y",,,', "dé/1,7,,"]


def test_several_objectives_have_a_column(run: Run) -> None:
    recipe = replace(with_types(ANY.recipe, {"views", "carts"}), metric=Recall(3))
    run = replace(run, recipe=recipe)
    items = {"views": [0, 2, 3], "carts": [1, 2, 3]}
    lists = {name: final_list([1, 2, 3], [listed] * 3) for name, listed in items.items()}
    table = written(run, lists)
    assert table[0] == "user,objective,item_1,item_2,item_3"
    assert table[3] == 'dé/1,views,007,a b,"x,y"' and table[6] == 'dé/1,carts,7,a b,"x,y"'
    assert ANY.check_submission  # the same file is right
    found = of_flags(run.recipe, run.output).check_submission(
        run.output / "submission.csv", run.output
    )
    assert found.faults == [] and found.right == "6 lists for 3 queries, of 4 items"


GOOD = ['"b,ob",007,7,a b', '"c""y",7,,', 'dé/1,"x,y",007,7']


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        (GOOD, []),
        (GOOD[:2], ["no list for dé/1; add it"]),
        ([*GOOD, GOOD[0]], ["line 5: a list of b,ob that was there before; keep one"]),
        ([*GOOD, "ann,007,,"], ["line 5: user ann is no query; drop the line"]),
        ([*GOOD[:2], "dé/1,8,,"], ["line 4: an unknown item for dé/1; write raw ids"]),
        ([*GOOD[:2], "dé/1,7,7,"], ["line 4: an item twice for dé/1; keep one"]),
        ([*GOOD[:2], "dé/1,,,"], ["line 4: no items for dé/1; give it some"]),
        ([*GOOD[:2], "dé/1,7,,007"],
         ["line 4: an empty cell between items of dé/1; move it to the end"]),
    ],
)  # fmt: skip
def test_check(run: Run, lines: list[str], faults: list[str]) -> None:
    path = run.output / "mine.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    assert of_flags(run.recipe, run.output).check_submission(path, run.output).faults == faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [("user,a,b,c\n", "the header is 'user,a,b,c'"), ("", "the header is ''"),
     (f"{HEADER}\nann,1,2,3,4,5\n", "write 4 cells a line")],
)  # fmt: skip
def test_files_of_another_form(run: Run, text: str, fault: str) -> None:
    path, dataset = run.output / "mine.csv", of_flags(run.recipe, run.output)
    path.write_text(text)
    (found,) = dataset.check_submission(path, run.output).faults
    assert fault in found
    with pytest.raises(ValueError, match=fault.replace("(", "")):
        dataset.judged_items(path, score.read_labels(write_labels(run, [(1, 0, 2, 1.0)])))


def write_labels(run: Run, rows: list[tuple[int, int, int, float]]) -> Path:
    path = run.output / "test" / "labels.parquet"
    pl.DataFrame(rows, LABELS, orient="row").write_parquet(path)
    return path


def test_score(run: Run) -> None:
    """The labels of ids that are texts: 007 and 7 are two items."""
    labels = write_labels(run, [(1, 0, 0, 1.0), (1, 0, 3, 1.0), (2, 0, 0, 1.0), (3, 0, 3, 2.0)])
    path, dataset = run.output / "mine.csv", of_flags(run.recipe, run.output)
    path.write_text("\n".join([HEADER, *GOOD]) + "\n")
    truth = score.read_labels(labels)
    judged = dataset.judged_items(path, truth)
    assert judged.sort("session", "rank").rows() == [
        ("b,ob", 0, "007", 1.0, 0), ("dé/1", 0, "x,y", 2.0, 0),
    ]  # fmt: skip
    truth, judged = score.numbered(truth, judged)
    table = score.score(judged, dataset, truth)
    assert table["score"].to_list() == [2 / 4, 2 / 4], "one objective is the total"
    path.write_text("\n".join([HEADER, *GOOD, GOOD[0]]) + "\n")
    with pytest.raises(ValueError, match="line 5: a list that was there before"):
        dataset.judged_items(path, score.read_labels(labels))
    path.write_text(f"{HEADER}\nann,7,,\n")
    with pytest.raises(ValueError, match="has no list for any query of the labels"):
        dataset.judged_items(path, score.read_labels(labels))
