"""Which features a model keeps.

pytest tests/rankers/test_selection.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from planted_rows import write_rows

from src.core.engines import resolve
from src.rankers.base import FitTask
from src.rankers.selection import features_of, matrix_of, select_features, top_features_by_gain
from src.rankers.train_set import TrainSet
from src.rankers.xgb import XGBoostRanker


def test_a_feature_is_kept_where_nothing_splits() -> None:
    """A label that no column tells: one column stays, for a model needs one."""
    X, names = np.zeros((40, 3), np.float32), ["a", "b", "c"]
    label, none = np.arange(40) % 2, np.zeros(40, np.float32)
    assert top_features_by_gain(matrix_of(X, label, names, none), 2, "cpu", 0) == ["a"]
    X[:, 1] = label
    assert top_features_by_gain(matrix_of(X, label, names, none), 2, "cpu", 0) == ["b"]


def test_what_the_draw_made_is_no_reason_for_a_feature() -> None:
    """Half of the negatives were drawn from a tenth of the rows, which one column marks."""
    rng = np.random.default_rng(1)
    label = np.arange(8000) % 2
    often = np.where(label == 0, rng.random(8000) < 0.5, rng.random(8000) < 0.1)
    X = np.column_stack([often, rng.random(8000) < 0.5 + 0.1 * label]).astype(np.float32)
    for correction, best in (
        (np.zeros(8000), ["often"]),
        (-np.log(np.where(often, 9.0, 1)), ["told"]),
    ):
        matrix = matrix_of(X, label, ["often", "told"], correction.astype(np.float32))
        assert top_features_by_gain(matrix, 1, "cpu", 0) == best


def test_features_are_selected_with_the_correction_of_the_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    label = np.arange(8000) % 2
    often = np.where(label == 0, rng.random(8000) < 0.5, rng.random(8000) < 0.1)
    told = rng.random(8000) < 0.5 + 0.1 * label
    for known, best in ((False, ["often"]), (True, ["told"])):
        columns = {"often": often, "told": told}
        if known:
            columns["log_chance:x"] = np.log(np.where(often, 1, 1 / 9))
        train_set = write_rows(tmp_path, columns, label, [20] * 400)
        ranker = XGBoostRanker("x", (("objective", "binary:logistic"),))
        task = FitTask(ranker, "x", 2, tmp_path, resolve("cpu"), 1)
        assert select_features(task, train_set, ["often", "told"], 1) == best


def test_features_are_selected_without_the_held_out_fold(tmp_path: Path) -> None:
    # one column tells the label in fold 2 alone, the other one everywhere else
    rng, size = np.random.default_rng(1), 2000
    fold, label = np.arange(size) % 4, rng.integers(0, 2, size)
    fold = np.where(fold == 3, 1, 2)  # most rows are held out
    noise = rng.random(size)
    table = {
        "session": np.arange(size, dtype=np.int32),
        "item": np.arange(size, dtype=np.int32),
        "fold": fold.astype(np.int8),
        "label:x": label.astype(np.float32),
        "a": np.where(fold == 2, label, noise).astype(np.float32),
        "b": np.where(fold == 2, noise, label).astype(np.float32),
        "c": rng.random(size).astype(np.float32),
    }
    pl.DataFrame(table).write_parquet(tmp_path / "0.parquet")
    train_set = TrainSet.read([tmp_path / "0.parquet"], ["x"])
    ranker = XGBoostRanker("x", (("objective", "binary:logistic"),))
    task = FitTask(ranker, "x", 2, tmp_path, resolve("cpu"), 1)
    assert select_features(task, train_set, train_set.names, 1) == ["b"]
    assert features_of(task, train_set, 1) == ["b"]
    assert features_of(task, train_set, 3) == features_of(task, train_set, None) == ["a", "b", "c"]
    blind = replace(task, ranker=replace(ranker, unread=("b",)))
    assert features_of(blind, train_set, None) == ["a", "c"] != features_of(blind, train_set, 1)
    assert blind.ranker.group_key() != ranker.group_key(), "they share no data"
