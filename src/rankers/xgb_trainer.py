"""Train an XGBoost model on the rows of one fold, and write its logs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb

from src.core.arrays import F32, Mask
from src.rankers.base import FitTask
from src.rankers.rounds import Rounds
from src.rankers.train_set import TrainSet
from src.rankers.trees_training import LOG_LOSS, Curve, FoldRows, write_importance
from src.rankers.xgb import METRICS_OF_QUERIES, SOFTMAX, XGBoostRanker
from src.rankers.xgb_softmax import softmax_gradient

IMPORTANCES = {"gain": "total_gain", "cover": "cover", "splits": "weight"}
"""Columns of importance.csv, and XGBoost's names of these importances."""
PROBABILITIES = ("binary:logistic", "reg:logistic")
"""Losses whose scores are probabilities, so that their log loss says something."""
LARGER_IS_BETTER = ("auc", "aucpr", *METRICS_OF_QUERIES)
"""All other metrics are losses."""
MAX_GRADE = 31
"""With the gain 2^grade - 1; XGBoost's limit."""
SOURCE_LINE = re.compile(r"^\[[\d:]+\] \S+: (Check failed: )?")
"""Begins the messages of XGBoost's errors: time, file and line."""


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
    """Train and valid matrix of one fold, in the same bins."""

    rows: FoldRows
    dtrain: xgb.QuantileDMatrix
    dvalid: xgb.QuantileDMatrix

    @classmethod
    def read(
        cls, task: FitTask, train_set: TrainSet, max_features: int | None, max_bin: int
    ) -> FoldMatrices:
        """Read and bin the features; select them first if there are more than max_features.

        Raises ValueError, naming them, where features have infinite values.
        """
        options = {"max_bin": max_bin, "nthread": 1}
        try:
            rows = FoldRows.of(task, train_set, max_features)
            train = FileBatches(train_set, rows.train, rows.names)
            valid = FileBatches(train_set, rows.valid, rows.names)
            dtrain = xgb.QuantileDMatrix(train, **options)
            return cls(rows, dtrain, xgb.QuantileDMatrix(valid, **options, ref=dtrain))
        except xgb.core.XGBoostError as error:
            if infinite := train_set.infinite(task.ranker.reads(train_set.names)):
                raise ValueError(f"features with infinite values: {', '.join(infinite)}") from error
            raise

    def set_labels(self, ranker: XGBoostRanker, target: str) -> None:
        """Set labels and corrections of the ranker's loss and, if it needs them, the queries.

        Queries cannot be unset, and AUC becomes a mean over queries. Raises ValueError where loss
        or metric cannot take the labels.
        """
        query = self.rows.train_set.query
        parts = ((self.dtrain, self.rows.train), (self.dvalid, self.rows.valid))
        corrections = self.rows.corrections(ranker) or (None, None)
        labels = self.rows.labels(ranker, target)
        for (matrix, mask), label, added in zip(parts, labels, corrections, strict=True):
            check_labels(ranker, target, label)
            matrix.set_info(label=label, base_margin=added)
            if ranker.needs_queries:
                matrix.set_info(qid=query[mask])


def check_labels(ranker: XGBoostRanker, target: str, label: F32) -> None:
    """Raise ValueError where the loss or the metric of early stopping cannot take the labels."""
    gains, who = dict(ranker.params).get("ndcg_exp_gain", True), f"ranker {ranker.name}, {target}"
    if ranker.metric_kind in METRICS_OF_QUERIES[1:] and label.max() > 1:
        raise ValueError(
            f"{who}: eval_metric {ranker.eval_metric} takes no grade above 1, but {label.max():g} "
            'is one; take "ndcg@10", or the objective rank:map'
        )
    reads_gains = ranker.loss.startswith("rank:") or ranker.metric_kind == METRICS_OF_QUERIES[0]
    wrong = label[(label % 1 != 0) | (label > MAX_GRADE)]
    if reads_gains and wrong.size and str(gains).lower() not in ("0", "false"):
        raise ValueError(
            f"{who}: grade {wrong[0]:g} is not one of 0, 1, ..., {MAX_GRADE}, which the gain "
            '2^grade - 1 needs; add ("ndcg_exp_gain", False) to its params'
        )


def boost(
    ranker: XGBoostRanker, rows: xgb.DMatrix, rounds: int, params: dict[str, Any], **options: Any
) -> xgb.Booster:
    """Train an XGBoost model with the params and the loss of a ranker.

    params: are added to the ranker's, or replace them. options: other arguments of xgb.train. It
    runs on one thread: XGBoost's order of sums depends on the number of threads. Raises ValueError
    where XGBoost refuses the params.
    """
    params = {**dict(ranker.params), "tree_method": "hist", "nthread": 1, **params}
    if params["objective"] == SOFTMAX:
        params.pop("objective")
        params["base_score"], options["obj"] = 0.0, softmax_gradient
    try:
        return xgb.train(params, rows, rounds, **options)
    except xgb.core.XGBoostError as error:
        message = SOURCE_LINE.sub("", str(error).partition("\n")[0])
        raise ValueError(f"ranker {ranker.name}: {message}") from error


def fit(ranker: XGBoostRanker, task: FitTask, data: FoldMatrices) -> xgb.Booster:
    """Train one model, cut the rounds after the best one, and write its logs."""
    start = time.perf_counter()
    data.set_labels(ranker, task.target)
    losses = LOG_LOSS[:1] if ranker.loss in PROBABILITIES else ()
    # the last one decides when to stop
    metrics = [*(m for m in ("auc", *losses) if m != ranker.eval_metric), ranker.eval_metric]
    params = {"device": task.engine.device, "seed": task.seed, "eval_metric": metrics}
    curve = Curve(ranker, ranker.metric_kind in LARGER_IS_BETTER)
    with Rounds(task, ranker.num_boost_round) as rounds:
        evaluation = Evaluation(data, curve, rounds)
        model = boost(ranker, data.dtrain, ranker.num_boost_round, params, callbacks=[evaluation])
    model = model[: curve.best + 1]
    names = data.rows.names
    scores = {c: model.get_score(importance_type=i) for c, i in IMPORTANCES.items()}
    of_features = {c: [float(np.max(s.get(n, 0.0))) for n in names] for c, s in scores.items()}
    write_importance(task, names, of_features)
    seconds = time.perf_counter() - start
    params = dict(ranker.params) | params
    task.write_logs(curve.table(), curve.best, params, data.rows.counts, seconds)
    return model


class Evaluation(xgb.callback.TrainingCallback):
    """Shows the rounds, evaluates every fifth one, and stops the training."""

    def __init__(self, data: FoldMatrices, curve: Curve, rounds: Rounds) -> None:
        self.parts = [(data.dtrain, "train"), (data.dvalid, "valid")]
        self.curve, self.rounds = curve, rounds

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: dict) -> bool:
        self.rounds.bar.update()
        if not self.curve.is_due(epoch):
            return False
        text = model.eval_set(self.parts, epoch)  # [9], train-auc:0.7, train-ndcg@20:0.5, ...
        values: dict[str, dict[str, float]] = {"train": {}, "valid": {}}
        for part in text.split()[1:]:
            name, _, value = part.rpartition(":")
            rows, _, metric = name.partition("-")
            values[rows][metric] = float(value)
        self.rounds.end(epoch, values["valid"])
        return self.curve.add(epoch, values)
