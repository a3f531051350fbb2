"""Step 1 of LETOR files: which files become which splits, and their tables.

pytest tests/datasets/test_letor_split.py
"""

from __future__ import annotations

import gzip
import json
import random
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from letor import Doc, planted, prepare, text, write

from src.core import text_blocks
from src.data.raw_ids import item_ids, session_ids
from src.data.schemas import EVENTS, GIVEN, LABELS
from src.datasets.letor import given

TRAIN, VALI, TEST = planted(9, 1), planted(5, 2), planted(4, 3)
HIDDEN = planted(4, 3, hidden=True)
Table = dict[tuple[str, str], tuple[float, dict[str, float | None]]]  # by qid and document


def table_of(out: Path, split: str) -> Table:
    """The given candidates of a split in raw ids, with grades: -1 without labels."""
    found = pl.read_parquet(out / split / "given.parquet")
    labels = out / split / "labels.parquet"
    if labels.exists():
        found = found.join(pl.read_parquet(labels), on=["session", "item"])
    else:
        found = found.with_columns(grade=pl.lit(-1.0), objective=pl.lit(0))
    qid = session_ids(out / split / "sessions.parquet").cast(pl.String)
    doc = item_ids(out / "items.parquet")
    return {
        (qid[row.pop("session")], doc[row.pop("item")]): (row.pop("grade"), row)
        for row in found.drop("objective").iter_rows(named=True)
    }


def wanted(queries: dict[int, list[Doc]], columns: list[str]) -> Table:
    """The same from what was written: an absent value is 0, a missing one null."""
    found: Table = {}
    for qid, docs in queries.items():
        for grade, values, name in docs:
            row: dict[str, float | None] = {}
            for column in columns:
                value = values.get(int(column[1:]), 0.0)
                row[column] = None if value == "NULL" else pytest.approx(value)
            found[str(qid), name] = float(grade), row
    return found


def roles(out: Path) -> dict[str, tuple[str, str, int]]:
    rows = json.loads((out / "splits.json").read_text())
    return {row["name"]: (row["role"], row["origin"], row["queries"]) for row in rows}


def test_three_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in", train_txt=TRAIN, vali_txt=VALI, test_txt=HIDDEN)
    assert prepare(monkeypatch, tmp_path) == 0
    out, columns = tmp_path / "out", ["f1", "f2", "f3"]
    assert roles(out) == {
        "valid": ("valid", "vali.txt", 5), "test": ("test", "test.txt", 4),
        "train_1": ("train", "train.txt", 9),
    }  # fmt: skip
    for split, queries in (("train_1", TRAIN), ("valid", VALI), ("test", HIDDEN)):
        assert table_of(out, split) == wanted(queries, columns), split
        assert pl.read_parquet(out / split / "events.parquet").schema == EVENTS
        sessions = pl.read_parquet(out / split / "sessions.parquet")
        assert sessions["session"].to_list() == list(queries) and sessions["query"].all()
        assert sessions.columns == ["session", "query"], "whole numbers are ids as they are"
        rows = pl.read_parquet(out / split / "given.parquet")
        assert rows.schema == {**GIVEN, **dict.fromkeys(columns, pl.Float32)}
        assert rows.equals(rows.sort("session", "item"))
    assert not (out / "test" / "labels.parquet").exists()
    labels = pl.read_parquet(out / "valid" / "labels.parquet")
    assert labels.schema == LABELS and (labels["grade"] == 0).any(), "judged, not relevant"
    assert labels.equals(labels.sort("session", "objective", "item"))
    assert json.loads((out / "dataset.json").read_text()) == {"columns": columns, "ranks": False}


def test_grades_of_a_test_file_become_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", train_txt=TRAIN, test_txt=TEST)
    assert prepare(monkeypatch, tmp_path) == 0
    assert table_of(tmp_path / "out", "test") == wanted(TEST, ["f1", "f2", "f3"])


def test_without_a_vali_file_the_train_file_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", train_svm=TRAIN)
    assert prepare(monkeypatch, tmp_path) == 0
    assert roles(tmp_path / "out") == {"valid": ("valid", "train.svm", 9)}


def test_texts_as_ids_and_documents_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs: list[Doc] = [(1, {1: 0.5}, ""), (0, {1: 0.25}, "a"), (2, {2: 1}, "")]
    write(tmp_path / "in", train_txt={"TD-1": docs, "7": docs, "010": docs})
    assert prepare(monkeypatch, tmp_path) == 0
    sessions = pl.read_parquet(tmp_path / "out" / "valid" / "sessions.parquet")
    assert sessions["id"].to_list() == ["TD-1", "7", "010"] and sessions["session"].n_unique() == 3
    names = {(qid, f"{qid}:{n}") for qid in sessions["id"] for n in (1, 3)}
    found = table_of(tmp_path / "out", "valid")
    assert set(found) == names | {(qid, "a") for qid in sessions["id"]}
    assert found["TD-1", "TD-1:3"] == (2.0, {"f1": 0.0, "f2": 1.0})


def test_rows_of_a_query_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines in any order give the same table; a line says how many queries were torn."""
    write(tmp_path / "whole" / "in", train_txt=TRAIN)
    lines = (tmp_path / "whole" / "in" / "train.txt").read_text().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    write(tmp_path / "torn" / "in", train_txt="".join(lines))
    assert prepare(monkeypatch, tmp_path / "whole") == 0
    assert "put together" not in capsys.readouterr().out
    assert prepare(monkeypatch, tmp_path / "torn") == 0
    assert "queries in several places, put together 9" in capsys.readouterr().out
    tables = [table_of(tmp_path / name / "out", "valid") for name in ("whole", "torn")]
    assert tables[0] == tables[1]


def test_blocks_and_parts_do_not_show_in_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = {**TRAIN, 5000: [(1, {1: 0.5, 700: 2.0}, "late"), (0, {1: 0.25}, "later")]}
    for name in ("one", "many"):
        write(tmp_path / name / "in", train_txt=late)
    assert prepare(monkeypatch, tmp_path / "one") == 0
    small = text_blocks.blocks
    monkeypatch.setattr(
        text_blocks, "_read",
        lambda path: (path.read_bytes()[at : at + 70] for at in range(0, 10_000, 70)),
    )  # fmt: skip
    monkeypatch.setattr("src.datasets.letor.raw.blocks", lambda path: small(path, 200))
    monkeypatch.setattr(given, "ROW_GROUP", 7)
    assert prepare(monkeypatch, tmp_path / "many") == 0
    one, many = (tmp_path / name / "out" for name in ("one", "many"))
    assert len([*(many / "raw").glob("train-*.parquet")]) > 5
    for name in ("items", "valid/given", "valid/labels", "valid/sessions"):
        a, b = (pl.read_parquet(out / f"{name}.parquet") for out in (one, many))
        assert a.equals(b), name
    assert pl.read_parquet(many / "valid" / "given.parquet").columns[2:] == [
        "f1",
        "f2",
        "f3",
        "f700",
    ]


def test_packed_files_give_the_same_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plain", "packed"):
        write(tmp_path / name / "in", train_txt=TRAIN, test_txt=TEST)
    for path in [*(tmp_path / "packed" / "in").iterdir()]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    tables = []
    for name in ("plain", "packed"):
        assert prepare(monkeypatch, tmp_path / name) == 0
        tables.append([table_of(tmp_path / name / "out", split) for split in ("valid", "test")])
    assert tables[0] == tables[1]


def test_sizes_of_queries_in_a_file_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As LightGBM has them: no qids, and rank.train.query."""
    sizes = [len(docs) for docs in TRAIN.values()]
    folder = write(tmp_path / "in", rank_train="".join(text(None, d) for d in TRAIN.values()))
    (folder / "rank.train.query").write_text("\n".join(map(str, sizes)) + "\n")
    write(folder, rank_test=text(None, [doc for docs in TEST.values() for doc in docs]))
    (folder / "rank.test.query").write_text("\n".join(str(len(d)) for d in TEST.values()))
    assert prepare(monkeypatch, tmp_path) == 0
    renamed = {(f"test:{n}", name): row for n, docs in enumerate(TEST.values(), 1)
               for (_, name), row in wanted({n: docs}, ["f1", "f2", "f3"]).items()}  # fmt: skip
    assert table_of(tmp_path / "out", "test") == renamed
    valid = pl.read_parquet(tmp_path / "out" / "valid" / "given.parquet")
    assert valid["session"].value_counts().sort("session")["count"].to_list() == sizes


def test_the_order_of_a_file_is_not_that_of_the_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is sorted by grade must not rank well where all scores are equal."""
    docs: list[Doc] = [(int(n < 10), {1: 1}, "") for n in range(40)]
    write(tmp_path / "in", train_txt={qid: docs for qid in range(1, 21)})
    assert prepare(monkeypatch, tmp_path) == 0
    labels = pl.read_parquet(tmp_path / "out" / "valid" / "labels.parquet")
    first = labels.filter(pl.int_range(pl.len()).over("session") < 10)
    assert 0.1 < first["grade"].mean() < 0.4  # type: ignore[operator]


@pytest.mark.parametrize("value", [0, 0.5, 2])
def test_ranks_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    """Whole numbers from 1, each once in a query: unless one value is not such."""
    docs: list[Doc] = [(n, {1: 3 - n, 2: "NULL" if n else value + 1}, "") for n in range(3)]
    write(tmp_path / "in", train_txt={1: docs, 2: docs, 3: [*docs, (0, {1: 2 + value}, "")]})
    assert prepare(monkeypatch, tmp_path) == 0
    found = json.loads((tmp_path / "out" / "dataset.json").read_text())
    # value 0: the fourth document of query 3 has rank 2 again; .5 is no rank; 2 is right, but
    # the fourth document has no value 2, which counts 0
    assert not found["ranks"]
    docs = [(n, {1: 3 - n, 2: "NULL" if n else 1}, "") for n in range(3)]
    write(tmp_path / "in", train_txt={1: docs, 2: docs})
    assert prepare(monkeypatch, tmp_path) == 0
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["ranks"]


def test_a_sample_keeps_the_same_queries_of_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", train_txt=planted(60, 1), vali_txt=planted(60, 2))
    assert prepare(monkeypatch, tmp_path, "--sample", "0.5") == 0
    kept = {name: queries for name, (*_, queries) in roles(tmp_path / "out").items()}
    assert all(15 < n < 45 for n in kept.values())
    raw = [pl.read_parquet(tmp_path / "out" / s / "sessions.parquet")["session"].to_list()
           for s in ("train_1", "valid")]  # fmt: skip
    assert [q + 1000 for q in raw[0]] != raw[1]
    for queries, first in zip(raw, (1000, 2000), strict=True):
        assert all(a < b and (b - first) % 3 == 0 for a, b in pairwise(queries))


def test_a_second_run_does_nothing_and_a_changed_file_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", train_txt=TRAIN, vali_txt=VALI)
    assert prepare(monkeypatch, tmp_path) == 0
    out = tmp_path / "out"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert prepare(monkeypatch, tmp_path) == 0
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    (out / "raw" / "train-0000.parquet").unlink()
    assert prepare(monkeypatch, tmp_path) == 0
    assert (out / "raw" / "train-0000.parquet").exists(), "a part that is gone is made again"
    write(tmp_path / "in", vali_txt=planted(6, 2))
    assert prepare(monkeypatch, tmp_path) == 0
    assert roles(out)["valid"] == ("valid", "vali.txt", 6)
