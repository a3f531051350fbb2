"""Training rows in memory, and the batches XGBoost gets.

pytest tests/test_training_rows.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from src.core.engine import Engine
from src.rankers.rows import XGBoostRanker
from src.rankers.train_set import Batches, Rows
from src.rankers.xgb import Binned, Job, train, useful

NAMES = ["a", "b"]


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """Two files with the same sessions in them; every fourth row is not sampled."""
    rng = np.random.default_rng(0)
    for n in range(2):
        size = 200
        table = {
            "session": np.sort(rng.integers(0, 30, size)).astype(np.int32),
            "item": rng.integers(0, 99, size).astype(np.int32),
            "fold": rng.integers(-1, 4, size).astype(np.int8),
            "label_x": [None if i % 4 == 0 else i % 2 for i in range(size)],
            **{name: rng.random(size).astype(np.float32) for name in NAMES},
        }
        pl.DataFrame(table).cast({"label_x": pl.Int8}).write_parquet(tmp_path / f"{n}.parquet")
    return Rows.load((tmp_path / "0.parquet", tmp_path / "1.parquet"), ["x"])


def values(rows: Rows) -> np.ndarray:
    return np.concatenate([rows.features(file, NAMES) for file in range(2)])


def test_rows_are_those_that_were_sampled(rows: Rows, tmp_path: Path) -> None:
    tables = [pl.read_parquet(tmp_path / f"{n}.parquet").drop_nulls() for n in range(2)]
    both = pl.concat(tables)
    assert values(rows).tolist() == both.select(NAMES).to_numpy().tolist()
    assert rows.label.tolist() == both["label_x"].to_list()
    for column in ("session", "item", "fold"):
        assert getattr(rows, column).tolist() == both[column].to_list()
    sizes = [n for t in tables for n in t.group_by("session", maintain_order=True).len()["len"]]
    assert np.unique(rows.query, return_counts=True)[1].tolist() == sizes
    assert (np.diff(rows.query) >= 0).all(), "the same session of another file is another query"


def test_grades_are_of_the_heaviest_objective_that_came_true(tmp_path: Path) -> None:
    table = {
        "session": [1, 1, 1, 1, 1, 2], "item": [1, 2, 3, 4, 5, 6], "fold": [0] * 6,
        "label_clicks": [0, 1, None, 1, None, 0],
        "label_carts": [None, 0, 1, 1, None, 0],
        "label_orders": [0, 0, 0, 1, None, None],
        "a": np.arange(6, dtype=np.float32),
    }  # fmt: skip
    frame = pl.DataFrame(table).cast({f"label_{o}": pl.Int8 for o in ("clicks", "carts", "orders")})
    frame.write_parquet(tmp_path / "0.parquet")
    some = Rows.load([tmp_path / "0.parquet"], ["clicks", "carts", "orders"])
    assert some.label.tolist() == [0, 1, 2, 3, 0] and some.item.tolist() == [1, 2, 3, 4, 6]
    assert some.features(0, ["a"]).ravel().tolist() == [0, 1, 2, 3, 5]
    one = Rows.load([tmp_path / "0.parquet"], ["orders"])
    assert one.label.tolist() == [0, 0, 0, 1] and one.item.tolist() == [1, 2, 3, 4]


def drained(batches: Batches) -> list[dict]:
    got: list[dict] = []
    batches.reset()
    while batches.next(lambda **batch: got.append(batch)):
        pass
    return got


def test_batches_are_all_marked_rows_a_file_at_a_time(rows: Rows) -> None:
    mask = rows.fold != 2
    batches = Batches(rows, mask, NAMES[::-1])
    for _ in range(2):  # XGBoost goes through them more than once
        got = drained(batches)
        assert (
            np.concatenate([b["data"] for b in got]).tolist() == values(rows)[mask, ::-1].tolist()
        )
        assert np.concatenate([b["label"] for b in got]).tolist() == rows.label[mask].tolist()
        assert len(got) == 2
    second = np.arange(mask.size) >= rows.starts[1]
    assert len(drained(Batches(rows, mask & second, NAMES))) == 1


def test_models_of_the_same_bins_are_those_of_their_own(rows: Rows, tmp_path: Path) -> None:
    """Told of the queries for a rank objective, XGBoost takes AUC by query: a model before not."""
    jobs = [
        Job(
            XGBoostRanker(name, (("objective", what),), rounds=9, patience=9),
            "x",
            1,
            tmp_path / name,
        )
        for name, what in (("logistic", "binary:logistic"), ("ndcg", "rank:ndcg"))
    ]
    shared, engine = Binned.of(jobs[0], rows, NAMES), Engine("cpu", 1)
    held, facts = rows.fold == 1, []
    for job in jobs:
        models = [train(job, data, engine, 5) for data in (shared, Binned.of(job, rows, NAMES))]
        assert models[0].save_raw("ubj") == models[1].save_raw("ubj")
        score = models[0].inplace_predict(values(rows)[held], predict_type="margin")
        facts.append(json.loads((job.logs / "fold.json").read_text()))
        over_all = roc_auc_score(rows.label[held] > 0, score)
        assert (abs(facts[-1]["valid_auc"] - over_all) < 1e-6) == (job is jobs[0])
    assert facts[0]["valid_rows"] == held.sum() and facts[0]["train_rows"] == (~held).sum()


def test_files_without_a_row_of_the_objective_are_none(tmp_path: Path) -> None:
    labels = [[None, None], [1, 0], [None, None]]
    for n, label in enumerate(labels):
        table = {
            "session": [0, 1],
            "item": [1, 2],
            "fold": [0, 1],
            "label_x": label,
            "a": [1.0, 2.0],
        }
        frame = pl.DataFrame(table).cast({"label_x": pl.Int8, "fold": pl.Int8})
        frame.write_parquet(tmp_path / f"{n}.parquet")
    rows = Rows.load([tmp_path / f"{n}.parquet" for n in range(3)], ["x"])
    every = np.ones(2, np.bool_)
    assert rows.some(every, 10).tolist() == [True, True]
    assert rows.gather(every, ["a"]).ravel().tolist() == [1, 2]


def test_some_rows_are_whole_queries_of_some_files(rows: Rows) -> None:
    mask = rows.fold != 2
    assert (rows.some(mask, 1000) == mask).all()
    few, first = rows.some(mask, 30), np.arange(mask.size) < rows.starts[1]
    assert 10 < few.sum() < 60 and not few[~first].any()
    chosen = np.isin(rows.query, rows.query[few])
    assert (few == mask & chosen).all()


def test_columns_are_chosen_without_the_held_out_fold(tmp_path: Path) -> None:
    # one column tells the label in fold 2 alone, the other one everywhere else
    rng, size = np.random.default_rng(1), 2000
    fold, label = np.arange(size) % 4, rng.integers(0, 2, size)
    fold = np.where(fold == 3, 1, 2)  # most rows are held out
    noise = rng.random(size)
    table = {
        "session": np.arange(size, dtype=np.int32),
        "item": np.arange(size, dtype=np.int32),
        "fold": fold.astype(np.int8),
        "label_x": label.astype(np.int8),
        "a": np.where(fold == 2, label, noise).astype(np.float32),
        "b": np.where(fold == 2, noise, label).astype(np.float32),
        "c": rng.random(size).astype(np.float32),
    }
    pl.DataFrame(table).write_parquet(tmp_path / "0.parquet")
    ask = ((tmp_path / "0.parquet",), ("x",), 2, ("a", "b", "c"))
    assert useful(*ask, 1, "cpu", 1) == ["b"]
