"""Evaluations of trees: every fifth round and the last one, the best one, when to stop.

pytest tests/rankers/test_curve.py
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import xgboost as xgb

from src.rankers.lgbm import LightGBMRanker
from src.rankers.train_set import TrainSet
from src.rankers.trees import TreesRanker
from src.rankers.trees_training import Curve
from src.rankers.xgb import XGBoostRanker
from tests.rankers.planted_rows import graded_rows, trained


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> TrainSet:
    return graded_rows(tmp_path_factory.mktemp("rows"))


def test_a_curve_stops_after_the_rounds_without_a_better_one() -> None:
    ranker = XGBoostRanker("a", (), num_boost_round=33, early_stopping_rounds=10)
    curve = Curve(ranker, "logloss", larger_is_better=False)
    due = [number for number in range(33) if curve.is_due(number)]
    assert due == [4, 9, 14, 19, 24, 29, 32]
    losses = (0.5, 0.4, 0.3, 0.3, 0.35)  # equal to the best is not better
    train = {"auc": 0.9, "logloss": 0.1}
    stops = [curve.add(n, {"train": train, "valid": {"auc": 0.8, "logloss": x}})
             for n, x in zip(due, losses, strict=False)]  # fmt: skip
    assert stops == [False, False, False, False, True] and curve.best == 14
    table = curve.table()
    assert table.columns == ["round", "train_auc", "train_logloss", "valid_auc", "valid_logloss"]
    assert table["round"].to_list() == due[:5] and table["valid_logloss"].to_list() == list(losses)


@pytest.mark.parametrize(
    ("ranker", "column"),
    [
        (XGBoostRanker("x", (("objective", "binary:logistic"), ("learning_rate", 1.0)),
                       eval_metric="logloss"), "valid_logloss"),
        (XGBoostRanker("x", (("objective", "rank:ndcg"), ("learning_rate", 1.0)),
                       eval_metric="ndcg@5"), "valid_ndcg_5"),
        (LightGBMRanker("x", (("objective", "binary"), ("learning_rate", 1.0)),
                        eval_metric="binary_logloss"), "valid_binary_logloss"),
    ],
)  # fmt: skip
def test_the_best_round_is_of_a_loss_the_smallest(
    ranker: TreesRanker, column: str, rows: TrainSet, tmp_path: Path
) -> None:
    path = trained(ranker, rows, tmp_path)
    curve = pl.read_csv(tmp_path / "x" / "curve.csv")
    assert curve.columns[-1] == column and curve.height > 10
    sign = -1 if "loss" in column else 1
    best = curve["round"][int((sign * curve[column]).arg_max())]
    assert json.loads((tmp_path / "x" / "fold.json").read_text())["best_round"] == best
    assert curve["round"][-1] == best + ranker.early_stopping_rounds
    if isinstance(ranker, XGBoostRanker):
        assert xgb.Booster(model_file=path).num_boosted_rounds() == best + 1
