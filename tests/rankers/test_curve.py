"""Evaluations of trees: every fifth round and the last one, the best one, when to stop.

pytest tests/rankers/test_curve.py
"""

from __future__ import annotations

import json
from math import nan
from pathlib import Path

import polars as pl
import pytest
import xgboost as xgb
from planted import BARE

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
    curve = Curve(ranker, larger_is_better=False)
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


@pytest.mark.parametrize("larger_is_better", [False, True])
def test_not_a_number_is_never_the_best(larger_is_better: bool) -> None:
    curve = Curve(XGBoostRanker("a", ()), larger_is_better)
    for number, value in ((4, 0.5), (9, nan), (14, 0.5), (19, nan)):
        curve.add(number, {"valid": {"auc": value}})
    assert curve.best == 4


def test_wrong_rounds_and_other_names_of_fields_are_refused(rows: TrainSet, tmp_path: Path) -> None:
    loss = (("objective", "binary"),)
    for wrong in ({"num_boost_round": 0}, {"early_stopping_rounds": 0}):
        with pytest.raises(ValueError, match="early_stopping_rounds are at least 1"):
            LightGBMRanker("x", loss, **wrong).check(BARE)
    with pytest.raises(ValueError, match="ranker x: dart changes earlier trees"):
        LightGBMRanker("x", (*loss, ("boosting", "dart"))).check(BARE)
    for name, field in (("n_estimators", "num_boost_round"), ("metrics", "eval_metric")):
        with pytest.raises(ValueError, match=f"leave {name} to the field {field}"):
            trained(LightGBMRanker("x", (*loss, (name, 7))), rows, tmp_path)
    with pytest.raises(ValueError, match="Cannot change"):
        trained(LightGBMRanker("x", (*loss, ("two_round", True))), rows, tmp_path)


@pytest.mark.parametrize(
    ("ranker", "column"),
    [
        (XGBoostRanker("x", (("objective", "binary:logistic"), ("learning_rate", 1.0)),
                       eval_metric="logloss"), "valid_logloss"),
        (XGBoostRanker("x", (("objective", "rank:ndcg"), ("learning_rate", 1.0)),
                       eval_metric="ndcg@5"), "valid_ndcg_5"),
        (LightGBMRanker("x", (("objective", "binary"), ("learning_rate", 1.0)),
                        eval_metric="binary_logloss"), "valid_binary_logloss"),
        (XGBoostRanker("x", (("objective", "reg:absoluteerror"), ("learning_rate", 1.0)),
                       eval_metric="mape"), "valid_mape"),
        (XGBoostRanker("x", (("objective", "binary:logistic"), ("learning_rate", 1.0)),
                       eval_metric="error@0.70"), "valid_error_0.7"),
    ],
)  # fmt: skip
def test_the_best_round_is_of_a_loss_the_smallest(
    ranker: TreesRanker, column: str, rows: TrainSet, tmp_path: Path
) -> None:
    path = trained(ranker, rows, tmp_path)
    curve = pl.read_csv(tmp_path / "x" / "curve.csv")
    assert curve.columns[-1] == column and curve.height > 4
    sign = 1 if "ndcg" in column else -1
    best = curve["round"][int((sign * curve[column]).arg_max())]
    assert json.loads((tmp_path / "x" / "fold.json").read_text())["best_round"] == best
    assert curve["round"][-1] == best + ranker.early_stopping_rounds
    if isinstance(ranker, XGBoostRanker):
        assert xgb.Booster(model_file=path).num_boosted_rounds() == best + 1
