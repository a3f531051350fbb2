"""Train an XGBoost model on the rows of one fold, and write its logs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb
from tqdm import tqdm

from src.core import store
from src.core.arrays import I32, Mask
from src.rankers.base import FitTask
from src.rankers.selection import features_of
from src.rankers.train_set import TrainSet
from src.rankers.xgb import SOFTMAX, XGBoostRanker
from src.rankers.xgb_softmax import softmax_gradient

IMPORTANCES = {"gain": "total_gain", "cover": "cover", "splits": "weight"}
"""Columns of importance.csv, and XGBoost's names of these importances."""


class FileBatches(xgb.DataIter):
    """Gives the marked rows of a training set to a QuantileDMatrix, a batch per file."""

    def __init__(self, train_set: TrainSet, mask: Mask, names: list[str]):
        self.train_set, self.mask, self.names = train_set, mask, names
        self.file = 0
        super().__init__()

    def reset(self) -> None:
        """Go back to the first file."""
        self.file = 0

    def next(self, input_data: Callable[..., None]) -> bool:
        """Give the rows of the next file that has marked rows; return False after the last file."""
        train_set = self.train_set
        while self.file < len(train_set.files):
            first, end = train_set.file_offsets[self.file : self.file + 2]
            marked = np.flatnonzero(self.mask[first:end])
            self.file += 1
            if marked.size:
                X = train_set.file_features(self.file - 1, self.names)
                label = train_set.label[first + marked]
                input_data(data=X[marked], label=label, feature_names=self.names)
                return True
        return False


@dataclass(frozen=True)
class FoldMatrices:
    """Train and valid matrix of one fold, in the same bins, and the query of each row."""

    names: list[str]
    dtrain: xgb.QuantileDMatrix
    dvalid: xgb.QuantileDMatrix
    train_query: I32
    valid_query: I32
    counts: dict[str, int]  # of rows and positives

    @classmethod
    def read(
        cls, task: FitTask, train_set: TrainSet, max_features: int | None, max_bin: int
    ) -> FoldMatrices:
        """Read and bin the features; select them first if there are more than max_features."""
        train_set.check(task.target, task.fold)
        names = features_of(task, train_set, max_features)
        train, valid = train_set.fold != task.fold, train_set.fold == task.fold
        options = {"max_bin": max_bin, "nthread": 1}
        dtrain = xgb.QuantileDMatrix(FileBatches(train_set, train, names), **options)
        batches = FileBatches(train_set, valid, names)
        dvalid = xgb.QuantileDMatrix(batches, **options, ref=dtrain)
        query = train_set.query
        counts = train_set.counts(task.fold)
        return cls(names, dtrain, dvalid, query[train], query[valid], counts)

    def set_qid(self) -> None:
        """Set the query of each row; it cannot be unset, and AUC becomes a mean over queries."""
        self.dtrain.set_info(qid=self.train_query)
        self.dvalid.set_info(qid=self.valid_query)


def boost(
    ranker: XGBoostRanker, rows: xgb.DMatrix, rounds: int, params: dict[str, Any], **options: Any
) -> xgb.Booster:
    """Train an XGBoost model with the params and the loss of a ranker.

    params: are added to the ranker's, or replace them. options: other arguments of xgb.train. It
    runs on one thread: XGBoost's order of sums depends on the number of threads.
    """
    params = {**dict(ranker.params), "tree_method": "hist", "nthread": 1, **params}
    if params["objective"] == SOFTMAX:
        params.pop("objective")
        params["base_score"], options["obj"] = 0.0, softmax_gradient
    return xgb.train(params, rows, rounds, **options)


def fit(ranker: XGBoostRanker, task: FitTask, data: FoldMatrices) -> xgb.Booster:
    """Train one model, cut the rounds after the best one, and write its logs."""
    start = time.perf_counter()
    if ranker.is_listwise:
        data.set_qid()
    metrics = list(dict.fromkeys(["auc", ranker.eval_metric]))  # the last one decides when to stop
    params = {"device": task.engine.device, "seed": task.seed, "eval_metric": metrics}
    curve: dict[str, dict[str, list[float]]] = {}
    with Bar(ranker, task) as bar:
        model = boost(
            ranker, data.dtrain, ranker.num_boost_round, params,
            evals=[(data.dtrain, "train"), (data.dvalid, "valid")], evals_result=curve,
            early_stopping_rounds=ranker.early_stopping_rounds, verbose_eval=False,
            callbacks=[bar],
        )  # fmt: skip
    best = model.best_iteration
    model = model[: best + 1]
    write_importance(task, model, data.names)
    rounds = curve_table(curve)
    seconds = time.perf_counter() - start
    task.write_logs(rounds, best, dict(ranker.params) | params, data.counts, seconds)
    return model


class Bar(xgb.callback.TrainingCallback):
    """Shows a progress bar of the rounds, on the line of the fold; early stopping cuts it short."""

    def __init__(self, ranker: XGBoostRanker, task: FitTask) -> None:
        self.bar = tqdm(
            total=ranker.num_boost_round, desc=str(task), position=task.fold, leave=False,
            disable=None, delay=2, mininterval=1.0,
        )  # fmt: skip

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: dict) -> bool:
        self.bar.update()
        return False


def curve_table(curve: dict[str, dict[str, list[float]]]) -> pl.DataFrame:
    """Make a table of XGBoost's evaluations: round, train_auc, valid_auc, ..."""
    columns = {
        f"{rows}_{metric.replace('@', '_')}": values
        for rows, metrics in curve.items()
        for metric, values in metrics.items()
    }
    return pl.DataFrame({"round": range(len(curve["train"]["auc"]))} | columns)


def write_importance(task: FitTask, model: xgb.Booster, names: list[str]) -> None:
    """Write importance.csv: gain, cover and number of splits of each feature, by gain."""
    scores = {
        column: model.get_score(importance_type=importance)
        for column, importance in IMPORTANCES.items()
    }
    columns = {c: [score.get(name, 0.0) for name in names] for c, score in scores.items()}
    table = pl.DataFrame({"feature": names} | columns)
    table = table.sort("gain", "feature", descending=[True, False])
    store.write_text(task.logs / "importance.csv", table.write_csv())
