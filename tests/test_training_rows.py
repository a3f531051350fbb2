"""Training rows in memory, and the batches XGBoost gets.

pytest tests/test_training_rows.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src import training_rows
from src.training_rows import Batches, Rows, borders

NAMES = ["a", "b"]


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """Two files with the same sessions in them; every fourth row is not sampled."""
    rng = np.random.default_rng(0)
    for n in range(2):
        size = 200
        table = {
            "session": np.sort(rng.integers(0, 30, size)).astype(np.int32),
            "fold": rng.integers(-1, 4, size).astype(np.int8),
            "label_x": [None if i % 4 == 0 else i % 2 for i in range(size)],
            **{name: rng.random(size).astype(np.float32) for name in NAMES},
        }
        pl.DataFrame(table).cast({"label_x": pl.Int8}).write_parquet(tmp_path / f"{n}.parquet")
    return Rows.load((tmp_path / "0.parquet", tmp_path / "1.parquet"), "x", NAMES)


def test_rows_are_those_that_were_sampled(rows: Rows, tmp_path: Path) -> None:
    tables = [pl.read_parquet(tmp_path / f"{n}.parquet").drop_nulls() for n in range(2)]
    both = pl.concat(tables)
    assert rows.X.tolist() == both.select(NAMES).to_numpy().tolist()
    assert rows.label.tolist() == both["label_x"].to_list()
    assert rows.fold.tolist() == both["fold"].to_list()
    sizes = [n for t in tables for n in t.group_by("session", maintain_order=True).len()["len"]]
    assert np.unique(rows.query, return_counts=True)[1].tolist() == sizes
    assert (np.diff(rows.query) >= 0).all(), "the same session of another file is another query"


def drained(batches: Batches) -> list[dict]:
    got: list[dict] = []
    batches.reset()
    while batches.next(lambda **batch: got.append(batch)):
        pass
    return got


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_batches_are_all_rows_with_queries_uncut(rows: Rows, monkeypatch, size: int) -> None:
    monkeypatch.setattr(training_rows, "BATCH", size)
    mask = rows.fold != 2
    batches = Batches(rows, mask, NAMES, by_query=True)
    for _ in range(2):  # XGBoost goes through them more than once
        got = drained(batches)
        assert np.concatenate([b["data"] for b in got]).tolist() == rows.X[mask].tolist()
        assert np.concatenate([b["label"] for b in got]).tolist() == rows.label[mask].tolist()
        queries = [set(b["qid"].tolist()) for b in got]
        assert sum(map(len, queries)) == len(set(rows.query[mask].tolist()))
    assert len(got) == 1 if size == 1000 else len(got) > 3


def test_borders() -> None:
    query = np.array([0, 0, 0, 1, 2, 2, 5], np.int32)
    assert borders(query).tolist() == [0, 7]


def test_borders_at_every_query(monkeypatch) -> None:
    monkeypatch.setattr(training_rows, "BATCH", 1)
    query = np.array([0, 0, 0, 1, 2, 2, 5], np.int32)
    assert borders(query).tolist() == [0, 3, 4, 6, 7]
