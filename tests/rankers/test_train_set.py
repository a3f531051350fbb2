"""The training set read back, and the batches and matrices that XGBoost gets.

pytest tests/rankers/test_train_set.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from src.core.engines import resolve
from src.rankers.base import FitTask
from src.rankers.train_set import TrainSet
from src.rankers.xgb import XGBoostRanker
from src.rankers.xgb_trainer import FileBatches, FoldMatrices, fit

NAMES = ["a", "b"]


@pytest.fixture
def rows(tmp_path: Path) -> TrainSet:
    """Two files with the same sessions in them; every fourth row is not sampled."""
    rng = np.random.default_rng(0)
    for n in range(2):
        size = 200
        table = {
            "session": np.sort(rng.integers(0, 30, size)).astype(np.int32),
            "item": rng.integers(0, 99, size).astype(np.int32),
            "fold": rng.integers(-1, 4, size).astype(np.int8),
            "label:x": [None if i % 4 == 0 else i % 2 for i in range(size)],
            **{name: rng.random(size).astype(np.float32) for name in NAMES},
        }
        pl.DataFrame(table).cast({"label:x": pl.Float32}).write_parquet(tmp_path / f"{n}.parquet")
    return TrainSet.read((tmp_path / "0.parquet", tmp_path / "1.parquet"), ["x"])


def values(rows: TrainSet) -> np.ndarray:
    return np.concatenate([rows.file_features(file, NAMES) for file in range(2)])


def test_rows_are_those_that_were_sampled(rows: TrainSet, tmp_path: Path) -> None:
    tables = [pl.read_parquet(tmp_path / f"{n}.parquet").drop_nulls() for n in range(2)]
    both = pl.concat(tables)
    assert values(rows).tolist() == both.select(NAMES).to_numpy().tolist()
    assert rows.label.tolist() == both["label:x"].to_list()
    for column in ("session", "item", "fold"):
        assert getattr(rows, column).tolist() == both[column].to_list()
    sizes = [n for t in tables for n in t.group_by("session", maintain_order=True).len()["len"]]
    assert np.unique(rows.query, return_counts=True)[1].tolist() == sizes
    assert (np.diff(rows.query) >= 0).all(), "the same session of another file is another query"


def test_grades_are_of_the_heaviest_objective_that_came_true(tmp_path: Path) -> None:
    table = {
        "session": [1, 1, 1, 1, 1, 2], "item": [1, 2, 3, 4, 5, 6], "fold": [0] * 6,
        "label:clicks": [0, 5, None, 1, None, 0],
        "label:carts": [None, 0, 1, 1, None, 0],
        "label:orders": [0, 0, 0, 1, None, None],
        "a": np.arange(6, dtype=np.float32),
    }  # fmt: skip
    labels = {f"label:{o}": pl.Float32 for o in ("clicks", "carts", "orders")}
    frame = pl.DataFrame(table).cast(labels)
    frame.write_parquet(tmp_path / "0.parquet")
    some = TrainSet.read([tmp_path / "0.parquet"], ["clicks", "carts", "orders"])
    assert some.label.tolist() == [0, 1, 2, 3, 0] and some.item.tolist() == [1, 2, 3, 4, 6]
    assert some.file_features(0, ["a"]).ravel().tolist() == [0, 1, 2, 3, 5]
    one = TrainSet.read([tmp_path / "0.parquet"], ["orders"])
    assert one.label.tolist() == [0, 0, 0, 1] and one.item.tolist() == [1, 2, 3, 4]
    clicks = TrainSet.read([tmp_path / "0.parquet"], ["clicks"])
    assert clicks.label.tolist() == [0, 5, 1, 0], "one objective: its grades"


def drained(batches: FileBatches) -> list[dict]:
    got: list[dict] = []
    batches.reset()
    while batches.next(lambda **batch: got.append(batch)):
        pass
    return got


def test_batches_are_all_marked_rows_a_file_at_a_time(rows: TrainSet) -> None:
    mask = rows.fold != 2
    batches = FileBatches(rows, mask, NAMES[::-1])
    for _ in range(2):  # XGBoost goes through them more than once
        got = drained(batches)
        assert (
            np.concatenate([b["data"] for b in got]).tolist() == values(rows)[mask, ::-1].tolist()
        )
        assert np.concatenate([b["label"] for b in got]).tolist() == rows.label[mask].tolist()
        assert len(got) == 2
    second = np.arange(mask.size) >= rows.file_offsets[1]
    assert len(drained(FileBatches(rows, mask & second, NAMES))) == 1


def test_models_of_shared_matrices_are_those_of_their_own(rows: TrainSet, tmp_path: Path) -> None:
    """Once the queries are set for a rank loss, XGBoost takes AUC by query: a model before not."""
    rankers = [
        XGBoostRanker(name, (("objective", loss),), num_boost_round=9, early_stopping_rounds=9)
        for name, loss in (("logistic", "binary:logistic"), ("ndcg", "rank:ndcg"))
    ]
    tasks = [FitTask(r, "x", 1, tmp_path / r.name, resolve("cpu"), 5) for r in rankers]
    assert [r.fit_order for r in rankers] == [0, 1] and len({r.group_key() for r in rankers}) == 1

    def matrices() -> FoldMatrices:
        return FoldMatrices.read(tasks[0], rows, None, 256)

    shared, held_out, logs = matrices(), rows.fold == 1, []
    for ranker, task in zip(rankers, tasks, strict=True):
        models = [fit(ranker, task, data) for data in (shared, matrices())]
        assert models[0].save_raw("ubj") == models[1].save_raw("ubj")
        score = models[0].inplace_predict(values(rows)[held_out], predict_type="margin")
        logs.append(json.loads((task.logs / "fold.json").read_text()))
        over_all = roc_auc_score(rows.label[held_out] > 0, score)
        assert (abs(logs[-1]["valid_auc"] - over_all) < 1e-6) == (task is tasks[0])
    assert logs[0]["valid_rows"] == held_out.sum() and logs[0]["train_rows"] == (~held_out).sum()
    assert logs[0]["valid_positives"] == rows.label[held_out].sum()


def test_a_fold_without_a_positive_is_refused(rows: TrainSet, tmp_path: Path) -> None:
    none = replace(rows, label=np.where(rows.fold == 2, 0, rows.label).astype(np.float32))
    task = FitTask(XGBoostRanker("a", ()), "x", 2, tmp_path, resolve("cpu"), 5)
    with pytest.raises(ValueError, match=r"objective x, fold 2: all \d+ rows have one label"):
        FoldMatrices.read(task, none, None, 256)


def test_files_without_a_row_of_the_objective_are_none(tmp_path: Path) -> None:
    labels = [[None, None], [1, 0], [None, None]]
    for n, label in enumerate(labels):
        table = {
            "session": [0, 1],
            "item": [1, 2],
            "fold": [0, 1],
            "label:x": label,
            "a": [1.0, 2.0],
        }
        frame = pl.DataFrame(table).cast({"label:x": pl.Float32, "fold": pl.Int8})
        frame.write_parquet(tmp_path / f"{n}.parquet")
    rows = TrainSet.read([tmp_path / f"{n}.parquet" for n in range(3)], ["x"])
    every = np.ones(2, np.bool_)
    assert rows.subsample(every, 10).tolist() == [True, True]
    assert rows.load(every, ["a"]).ravel().tolist() == [1, 2]


def test_some_rows_are_whole_queries_of_some_files(rows: TrainSet) -> None:
    mask = rows.fold != 2
    assert (rows.subsample(mask, 1000) == mask).all()
    few, first = rows.subsample(mask, 30), np.arange(mask.size) < rows.file_offsets[1]
    assert 10 < few.sum() < 60 and not few[~first].any()
    chosen = np.isin(rows.query, rows.query[few])
    assert (few == mask & chosen).all()
