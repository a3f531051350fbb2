"""Run files of TREC: written, checked and scored.

pytest tests/datasets/test_letor_run.py
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from letor import LETOR, Doc, write
from planted import run_in

from src.core.arrays import F32, offsets_of_sizes
from src.data.schemas import FinalList
from src.datasets.letor.run_file import check_run, falling, read_run
from src.tools import check, score

GRADED: dict[int, list[Doc]] = {
    7: [(0, {1: 1}, "a"), (2, {1: 1}, "b"), (1, {1: 1}, "c")],
    90: [(1, {1: 1}, "a"), (0, {1: 1}, "d")],
    8: [(0, {1: 1}, "c")],
}
DOCUMENTS = pl.DataFrame(
    [(str(qid), name) for qid, docs in GRADED.items() for _, _, name in docs],
    schema={"qid": pl.String, "doc": pl.String}, orient="row",
)  # fmt: skip
RIGHT = [
    "7 Q0 b 1 3.5 letor", "7 Q0 c 2 1e-3 letor", "7 Q0 a 3 -2 letor",
    "90 Q0 d 1 0.5 letor", "90 Q0 a 2 0.25 letor", "8 Q0 c 1 0 letor",
]  # fmt: skip


def bits(score: F32) -> list[int]:
    return score.view(np.int32).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_scores_fall_by_as_little_as_can_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 9, 30)
    offsets = offsets_of_sizes(sizes)
    values = np.array([-3, -1e-45, -0.0, 0.0, 1e-45, 0.5, 0.5000001, 7], np.float32)
    score = values[rng.integers(0, values.size, offsets[-1])]
    score = np.concatenate([np.sort(q)[::-1] for q in np.split(score, offsets[1:-1])])
    found = falling(score, offsets)
    assert found.dtype == np.float32
    for first, end in pairwise(offsets):
        last = np.float32(np.inf)
        for given, written in zip(score[first:end], found[first:end], strict=True):
            below = np.nextafter(last, np.float32(-np.inf))
            assert written == min(given, below) and written < last
            last = written


def test_scores_that_fall_stay() -> None:
    score = np.array([3, 2.5, -1, 9, 8, 8.5], np.float32)[:5]
    assert bits(falling(score, np.array([0, 3, 5]))) == bits(score)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Raw files, and a prepared output beside them: test with grades."""
    train: dict[int, list[Doc]] = {1: [(1, {1: 1}, "x"), (0, {1: 2}, "y")]}
    write(tmp_path / "in", train_txt=train, test_txt=GRADED)
    run = replace(run_in(tmp_path, LETOR.recipe, "1_preparation.py"), input=tmp_path / "in",
                  output=tmp_path / "out", dataset=LETOR)  # fmt: skip
    LETOR.prepare(run)
    return tmp_path


def a_list(folder: Path) -> tuple[FinalList, list[list[str]]]:
    """Documents of the three test queries in the order of their items; all scores are equal."""
    rows = pl.read_parquet(folder / "out" / "test" / "given.parquet")
    names = pl.read_parquet(folder / "out" / "items.parquet")["item_id"]
    session, item = rows["session"].to_numpy(), rows["item"].to_numpy()
    offsets = np.searchsorted(session, [0, 1, 2, 3])
    score = np.full(item.size, 0.3, np.float32)
    listed = FinalList(np.arange(3, dtype=np.int32), offsets, item, score)
    return listed, [names[item[a:b]].to_list() for a, b in pairwise(offsets)]


def test_a_written_file_is_right_and_its_scores_are_the_floats(folder: Path) -> None:
    run = replace(run_in(folder / "out", LETOR.recipe, "7_blend.py"), dataset=LETOR)
    listed, names = a_list(folder)
    path = folder / "out" / LETOR.submission
    LETOR.write_submission(run, "test", {"relevance": listed}, path)
    rows, faults = read_run(path)
    assert not faults and check_run(path, DOCUMENTS) == []
    assert rows["qid"].to_list() == ["7", "7", "7", "90", "90", "8"]
    assert rows["doc"].to_list() == [name for of_query in names for name in of_query]
    assert rows["rank"].to_list() == [1, 2, 3, 1, 2, 1]
    written = rows["score"].to_numpy().astype(np.float32)
    assert bits(written) == bits(falling(listed.score, listed.offsets))
    assert path.read_text().splitlines()[0] == f"7 Q0 {names[0][0]} 1 0.3 letor"


def checked(folder: Path, lines: list[str]) -> list[str]:
    path = folder / "submission.trec"
    path.write_text("\n".join(lines) + "\n")
    return check_run(path, DOCUMENTS)


def test_a_right_file_has_no_faults(tmp_path: Path) -> None:
    assert checked(tmp_path, RIGHT) == []
    assert checked(tmp_path, [line.replace(" ", "\t") + "  \r" for line in RIGHT]) == []
    assert checked(tmp_path, RIGHT[3:] + RIGHT[:3]) == [], "the order of the queries is free"
    assert checked(tmp_path, RIGHT[:1] + RIGHT[3:] + RIGHT[1:3]) == []


FAULTS = {
    "7 Q0 b 1 3.5": "line 1: '7 Q0 b 1 3.5' is not qid Q0 docid rank score tag; write it so",
    "7 q0 b 1 3.5 x": "line 1: '7 q0 b 1 3.5 x' is not qid Q0 docid",
    "7 Q0 b 1 high x": "line 1: '7 Q0 b 1 high x' is not",
    "70 Q0 b 1 3.5 x": "line 1: query 70 is none of the test file; drop the line",
    "7 Q0 d 1 3.5 x": "line 1: document d is none of query 7; drop the line",
    "7 Q0 b 0 3.5 x": "line 1: rank 0 where 1 follows; number the lines of a query from 1",
    "7 Q0 b 1 0.001 x": "line 2: score 0.001 is not below 0.001, the one before; let scores fall",
}


@pytest.mark.parametrize("line", FAULTS)
def test_faults(tmp_path: Path, line: str) -> None:
    found = checked(tmp_path, [line, *RIGHT[1:]])
    assert found[0].startswith(FAULTS[line]), found


def test_repeated_and_missing_lines(tmp_path: Path) -> None:
    found = checked(tmp_path, [RIGHT[0], "7 Q0 b 2 3 x", *RIGHT[3:]])
    assert found == [
        "line 2: document b of query 7 again; keep one line",
        "no line for document a of query 7; add it",
        "no line for document c of query 7; add it",
    ]
    assert len(checked(tmp_path, ["?"] * 30)) == 10


def test_the_check_tool(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--dataset", "letor", "--input", str(folder / "in"), "--output", str(folder / "out")]
    path = folder / "out" / "submission.trec"
    with pytest.raises(FileNotFoundError, match=r"out/submission\.trec not found"):
        check.body(check.parse(flags))
    path.write_text("\n".join(RIGHT))
    assert check.body(check.parse(flags)) == 0
    assert "right, 6 documents of 3 queries" in capsys.readouterr().out
    path.write_text("\n".join(RIGHT[1:]))
    assert check.body(check.parse(flags)) == 2


def ndcg(grades: list[int], best: list[int]) -> float:
    def dcg(row: list[int]) -> float:
        return sum((2**g - 1) / math.log2(2 + n) for n, g in enumerate(row))

    return dcg(grades) / dcg(best)


@pytest.mark.parametrize("labels", ["out/test/labels.parquet", "in/test.txt"])
def test_the_score_tool(folder: Path, labels: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels of step 1, or a file with grades; a query without a relevant document counts 0."""
    (folder / "out" / "submission.trec").write_text("\n".join(RIGHT))
    flags = ["--dataset", "letor", "--output", str(folder / "out"), "--labels",
             str(folder / labels)]  # fmt: skip
    assert score.body(score.parse(flags)) == 0
    wanted = (ndcg([2, 1, 0], [2, 1, 0]) + ndcg([0, 1], [1, 0])) / 3
    out = capsys.readouterr().out
    assert f" {wanted:.4f} " in out and "ndcg@10" in out
    assert score.body(score.parse([*flags, "--metric", "map"])) == 0
    assert f" {(1 + 0.5) / 3:.4f} " in capsys.readouterr().out


BAD = {
    "a malformed line": (["7 Q0"], "line 1: '7 Q0' is not qid Q0 docid"),
    "a document twice": ([*RIGHT, RIGHT[0]], "line 7: document b was there before; keep one line"),
    "another split": (["55 Q0 b 1 1 x"], "no line for any query of the labels"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_cannot_be_scored(folder: Path, name: str) -> None:
    lines, fault = BAD[name]
    path = folder / "submission.trec"
    path.write_text("\n".join(lines))
    truth = score.read_labels(folder / "out" / "test" / "labels.parquet")
    with pytest.raises(ValueError, match=fault):
        LETOR.judged_items(path, truth)


def test_hidden_grades_are_no_labels(tmp_path: Path) -> None:
    path = write(tmp_path, test_txt="-1 qid:1 1:2\n") / "test.txt"
    with pytest.raises(ValueError, match="all grades are -1, hidden; give a file with grades"):
        LETOR.read_ground_truth(path)


def test_a_metric_of_another_name_is_refused(folder: Path) -> None:
    flags = ["--dataset", "letor", "--output", str(folder / "out"), "--metric", "kappa", "--labels",
             str(folder / "in" / "test.txt")]  # fmt: skip
    with pytest.raises(ValueError, match="no metric 'kappa'"):
        score.body(score.parse(flags))


def test_ids_may_hold_white_space_that_parts_no_tokens(tmp_path: Path) -> None:
    """A no-break space is part of an id, as in the raw files."""
    path = tmp_path / "run.trec"
    path.write_text("q\u3000 Q0 d\xa01 1 2.5 letor\r\n \t\r\nq\u3000\tQ0  e 2 1 letor \n")
    rows, faults = read_run(path)
    assert not faults and rows["doc"].to_list() == ["d\xa01", "e"]
    assert rows["qid"].to_list() == ["q\u3000"] * 2 and rows["line"].to_list() == [1, 3]
