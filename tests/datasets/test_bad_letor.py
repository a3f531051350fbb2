"""Wrong LETOR files: refused with one line that names file, line and cure; odd ones are served.

pytest tests/datasets/test_bad_letor.py
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from letor import Doc, planted, prepare, text, write
from refusal import assert_refused

from src.datasets.letor.files import find

GOOD = "".join(text(qid, docs) for qid, docs in planted(3, 1).items())
N = GOOD.count("\n")
TEST = "".join(text(qid, docs) for qid, docs in planted(2, 3).items())

BAD_LINES = {
    "2 qid:1 1:2 1:3": "index 1 stands twice; keep one",
    "1 qid:1 1:inf": "value 'inf' of index 1 is no number; write one, or NULL",
    "1 qid:1 nonsense": "'nonsense' is not <index>:<value>; mend or drop it",
    "-1 qid:1 1:2": "grade -1; give grades from 0 on (a test file: -1 in all lines if hidden)",
    "32 qid:1 1:2": "grade 32; gains are powers of 2: give grades up to 31",
    "1 qid:1 1:0.5\xa02:0.7": "value '0.5\\xa02:0.7' of index 1 is no number; write one, or NULL",
    "\x0c": "the grade is '\\x0c', not a number; write it first",
    "1 1:2": "no qid, as other lines have; add qid:<id>",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_lines(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", train_txt=f"{GOOD}{line}\n", test_txt=TEST)
    code = prepare(monkeypatch, tmp_path)
    error = capsys.readouterr().err
    assert_refused(code, tmp_path, error, f"train.txt, line {N + 1}: {BAD_LINES[line]}")


BAD_TESTS = {
    "a hidden grade among others": ("-1 qid:9 1:2", "test.txt, line {n}: grade -1"),
    "another negative grade": ("-2 qid:9 1:2", "test.txt, line {n}: grade -2"),
    "a query of the train file": ("1 qid:1003 1:2", "test.txt, line {n}: query 1003 is also in "
                                  "train.txt, line "),
    "a document twice": ("1 qid:3000 1:2 #docid = D3-0-0", "test.txt, line {n}: document D3-0-0 "
                         "stands twice in query 3000; keep one"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TESTS)
def test_bad_test_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line, fault = BAD_TESTS[name]
    write(tmp_path / "in", train_txt=GOOD, test_txt=f"{TEST}{line}\n")
    code = prepare(monkeypatch, tmp_path)
    n = TEST.count("\n") + 1
    assert_refused(code, tmp_path, capsys.readouterr().err, fault.format(n=n))


BAD_FILES: dict[str, tuple[dict[str, str], str]] = {
    "no train file": ({"vali_txt": GOOD}, "no train file in"),
    "two train files": ({"train_txt": GOOD, "train_svm": TEST}, "train.svm and train.txt are both "
                        "train files; keep one"),
    "an empty file": ({"train_txt": "\n# nothing\n"}, "train.txt holds no documents; download it"),
    "no qids": ({"train_txt": "1 1:2\n0 1:3\n"}, "train.txt, line 1: no qid; write qid:<id> after "
                "each grade, or the sizes of the queries into train.txt.query"),
    "wrong sizes": ({"train_txt": "1 1:2\n0 1:3\n", "train_txt_query": "1\n2\n"},
                    "train.txt.query has 3 rows in 2 queries, train.txt has 2; give the sizes"),
    "no sizes": ({"train_txt": "1 1:2\n", "train_txt_query": "1\nx\n"},
                 "train.txt.query, line 2: 'x' is no number of rows"),
    "no features": ({"train_txt": "1 qid:1\n0 qid:1\n"}, "train.txt: no line has a feature; write"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    contents, fault = BAD_FILES[name]
    write(tmp_path / "in", **contents)
    code = prepare(monkeypatch, tmp_path)
    error = capsys.readouterr().err.strip()
    assert code == 2 and fault in error and "\n" not in error, error
    assert not (tmp_path / "out" / "splits.json").exists()


def test_a_folder_of_folds(tmp_path: Path) -> None:
    for n in (2, 1, 3):
        write(tmp_path / f"Fold{n}", train_txt=GOOD)
    with pytest.raises(
        FileNotFoundError, match=r"has 3 folds, a run takes one; set --input .*Fold1$"
    ):
        find(tmp_path)
    assert find(tmp_path / "Fold2") == {"train": tmp_path / "Fold2" / "train.txt"}


@pytest.mark.parametrize(
    ("name", "role"),
    [("vali.txt", "valid"), ("valid.libsvm.gz", "valid"), ("rank.test", "test"), ("test", "test"),
     ("set1.valid.txt", "valid"), ("test.letor.zst", "test"), ("train.query", ""),
     ("train2.txt", ""), ("test.csv", ""), ("test_labels.txt", "")],
)  # fmt: skip
def test_names_of_files(tmp_path: Path, name: str, role: str) -> None:
    (tmp_path / "train.dat").touch()
    (tmp_path / name).touch()
    wanted = {"train": tmp_path / "train.dat"} | ({role: tmp_path / name} if role else {})
    assert find(tmp_path) == wanted


def test_queries_of_one_document_and_of_equal_grades_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one: list[Doc] = [(1, {1: 0.5}, "")]
    equal: list[Doc] = [(2, {1: 0.5}, ""), (2, {1: 0.5}, "")]
    write(tmp_path / "in", train_txt={1: one, 2: equal, 3: [(0, {1: 1}, "")] * 3})
    assert prepare(monkeypatch, tmp_path) == 0
    labels = pl.read_parquet(tmp_path / "out" / "valid" / "labels.parquet")
    assert sorted(labels.select("session", "grade").rows()) == [
        (0, 1), (1, 2), (1, 2), (2, 0), (2, 0), (2, 0)
    ]  # fmt: skip


def test_a_sample_without_a_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", train_txt=GOOD)
    assert prepare(monkeypatch, tmp_path, "--sample", "0.0001") == 2
    assert "--sample 0.0001 keeps no query of" in capsys.readouterr().err
