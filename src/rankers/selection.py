"""Select the features with the highest gain in a short XGBoost model."""

from __future__ import annotations

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from src.core.arrays import F32
from src.rankers.base import FitTask
from src.rankers.train_set import SELECTION_ROWS, TrainSet

ROUNDS, MAX_BIN = 20, 64
PARAMS: tuple[tuple[str, float | int | str], ...] = (
    ("objective", "binary:logistic"), ("tree_method", "hist"), ("max_depth", 6),
    ("learning_rate", 0.3), ("colsample_bytree", 0.3), ("max_bin", MAX_BIN), ("nthread", 1),
)  # fmt: skip
"""Parameters of the short model."""


def features_of(task: FitTask, train_set: TrainSet, max_features: int | None) -> list[str]:
    """Return the features that a model reads, in the table's order: max_features, or all."""
    names = task.ranker.reads(train_set.names)
    if max_features is None or max_features >= len(names):
        return names
    return select_features(task, train_set, names, max_features)


def select_features(
    task: FitTask, train_set: TrainSet, names: list[str], max_features: int
) -> list[str]:
    """Select some of the named features by a sample of the train rows of the task's fold."""
    rows = train_set.subsample(train_set.fold != task.fold, SELECTION_ROWS)
    X = train_set.load(rows, names)
    grade = train_set.label[rows]
    is_high = grade > (grade.mean() if grade.min() > 0 else 0)
    matrix = matrix_of(X, is_high, names, train_set.correction(task.fold)[rows])
    return top_features_by_gain(matrix, max_features, task.engine.device, task.seed)


def matrix_of(X: F32, label: NDArray, names: list[str], correction: F32) -> xgb.QuantileDMatrix:
    """Bin the named columns of X; label: bool (rows); correction: see TrainSet.correction."""
    margin = correction if correction.any() else None
    return xgb.QuantileDMatrix(
        X, label, feature_names=names, nthread=1, max_bin=MAX_BIN, base_margin=margin
    )


def top_features_by_gain(
    rows: xgb.QuantileDMatrix, max_features: int, device: str, seed: int
) -> list[str]:
    """Return the names of the columns with the highest total gain, in their order.

    Ties go by name. Columns without a split are left out; if no column has one, the first column is
    returned.
    """
    names = list(rows.feature_names or [])
    params = dict(PARAMS) | {"device": device, "seed": seed}
    gain = xgb.train(params, rows, ROUNDS).get_score(importance_type="total_gain")
    best = sorted(gain, key=lambda name: (-np.max(gain[name]), name))[:max_features] or names[:1]
    return [name for name in names if name in best]
