"""Train a LightGBM model on the rows of one fold, and write its logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import lightgbm as lgb
import numpy as np

from src.core.arrays import F32, F64, I32, I64, Mask
from src.rankers.base import FitTask
from src.rankers.lgbm import LightGBMRanker
from src.rankers.rounds import Rounds
from src.rankers.train_set import TrainSet
from src.rankers.trees_training import LOG_LOSS, Curve, FoldRows, write_importance

FIXED: dict[str, Any] = {
    "num_threads": 1, "verbosity": -1, "deterministic": True, "force_col_wise": True,
    "feature_pre_filter": False,
}  # fmt: skip
"""One thread and one layout of the bins: LightGBM would choose the faster one at each start."""
MAX_GRADE = 30
"""Of label_gain without a value."""


class FileRows(lgb.Sequence):
    """Some rows of a file of a training set: LightGBM reads them in turn."""

    batch_size = 2**31 - 1  # the whole file

    def __init__(self, read: Callable[[int], F32], file: int, rows: I64) -> None:
        self.read, self.file, self.rows = read, file, rows

    def __getitem__(self, index: Any) -> F32 | F64:
        """Return the rows of a slice, or one row in float64: LightGBM makes bins from such."""
        X = self.read(self.file)[self.rows[index]]
        return X if isinstance(index, slice) else X.astype(np.float64)

    def __len__(self) -> int:
        return self.rows.size


def file_rows(train_set: TrainSet, mask: Mask, names: list[str]) -> Iterator[FileRows]:
    """Yield the marked rows of each file; one file at a time is in memory."""
    read = lru_cache(maxsize=1)(lambda file: train_set.file_features(file, names))
    for file in range(len(train_set.files)):
        first, end = train_set.file_offsets[file : file + 2]
        if mask[first:end].any():
            yield FileRows(read, file, np.flatnonzero(mask[first:end]))


def query_sizes(query: I32) -> I64:
    """Count the rows of each query. query: number of each row's query, ascending."""
    return np.unique(query, return_counts=True)[1]


@dataclass(frozen=True)
class FoldDatasets:
    """Train and valid dataset of one fold, in the same bins, with the queries of the rows."""

    rows: FoldRows
    dtrain: lgb.Dataset
    dvalid: lgb.Dataset

    @classmethod
    def read(cls, ranker: LightGBMRanker, task: FitTask, train_set: TrainSet) -> FoldDatasets:
        """Read and bin the features; select them first if there are more than max_features."""
        rows = FoldRows.of(task, train_set, ranker.max_features, ranker.categories)

        def binned(mask: Mask, reference: lgb.Dataset | None = None) -> lgb.Dataset:
            return lgb.Dataset(
                list(file_rows(train_set, mask, rows.names)), train_set.label[mask], reference,
                group=query_sizes(train_set.query[mask]),
                feature_name=[quote(name) for name in rows.names],
                categorical_feature=[rows.names.index(name) for name in ranker.categories],
                params=FIXED | ranker.bin_params | {"seed": task.seed},
            ).construct()  # fmt: skip

        dtrain = binned(rows.train)
        return cls(rows, dtrain, binned(rows.valid, dtrain))

    def set_labels(self, ranker: LightGBMRanker, target: str) -> None:
        """Set the labels and corrections of the ranker's loss.

        Raises ValueError where loss or metric cannot take the labels.
        """
        corrections = self.rows.corrections(ranker) or (None, None)
        datasets, labels = (self.dtrain, self.dvalid), self.rows.labels(ranker, target)
        for data, label, added in zip(datasets, labels, corrections, strict=True):
            check_labels(ranker, target, label)
            data.set_label(label)
            if added is not None:
                data.set_init_score(added)


def check_labels(ranker: LightGBMRanker, target: str, label: F32) -> None:
    """Raise ValueError where the loss or the metric of early stopping cannot take the labels."""
    if not (ranker.is_listwise or ranker.eval_metric.startswith("ndcg")):
        return
    who, gains = f"ranker {ranker.name}, {target}", dict(ranker.params).get("label_gain")
    fractions = label[label % 1 != 0]
    if fractions.size:
        raise ValueError(
            f"{who}: LightGBM ranks by whole grades, but {fractions[0]:g} is one; take an "
            'XGBoostRanker with ("ndcg_exp_gain", False) or a NetRanker'
        )
    highest = MAX_GRADE if gains is None else len(str(gains).split(",")) - 1
    if label.max() > highest:
        raise ValueError(
            f"{who}: no gain for grade {label.max():g}; give label_gain in its params, one number "
            f"per grade (it ends at grade {highest})"
        )


def check_params(ranker: LightGBMRanker) -> None:
    """Raise ValueError for a parameter that LightGBM lacks, or another name of a reserved one.

    LightGBM would ignore the first, and the trainer the second, in silence.
    """
    known = lgb.basic._ConfigAliases._get_all_param_aliases()
    for key, setter in ranker.reserved.items():
        if others := dict(ranker.params).keys() & known.get(key, []):
            raise ValueError(f"ranker {ranker.name}: leave {min(others)} to {setter}")
    names = {*known, *(alias for aliases in known.values() for alias in aliases)}
    if unknown := sorted(dict(ranker.params).keys() - names):
        raise ValueError(f"ranker {ranker.name}: LightGBM has no parameter {unknown[0]}")


def fit(ranker: LightGBMRanker, task: FitTask, data: FoldDatasets) -> str:
    """Train one model, write its logs, and return the text of its rounds up to the best one."""
    start = time.perf_counter()
    check_params(ranker)
    data.set_labels(ranker, task.target)
    metric, _, at = ranker.eval_metric.partition("@")
    named = ranker.loss == "binary" and metric != "binary"  # LightGBM's other name of that metric
    losses = LOG_LOSS[1:] if named else ()
    metrics = list(dict.fromkeys([metric, "auc", *losses]))  # the first one decides when to stop
    params = dict(ranker.params) | FIXED | {"seed": task.seed, "metric": metrics}
    params |= {"eval_at": [int(at)]} if at else {}
    curve = Curve(ranker)
    with Rounds(task, ranker.num_boost_round) as rounds:

        def evaluate(env: lgb.callback.CallbackEnv) -> None:
            rounds.bar.update()
            if not curve.is_due(env.iteration):
                return
            model = env.model
            assert isinstance(model, lgb.Booster)
            found = {"train": model.eval_train(), "valid": model.eval(data.dvalid, "valid")}
            if len(found["valid"]) != len(metrics):
                raise ValueError(
                    f"ranker {ranker.name}: no eval_metric {ranker.eval_metric} of one value in "
                    "LightGBM; metrics of lists need a cut, such as ndcg@10"
                )
            curve.larger_is_better = bool(found["valid"][0][3])
            values = {rows: {str(of[1]): float(of[2]) for of in reversed(results)}
                      for rows, results in found.items()}  # fmt: skip
            rounds.end(env.iteration, values["valid"])
            if curve.add(env.iteration, values):
                raise lgb.callback.EarlyStopException(curve.best, [])

        try:
            model = lgb.train(params, data.dtrain, ranker.num_boost_round, callbacks=[evaluate])
        except lgb.basic.LightGBMError as error:
            raise ValueError(f"ranker {ranker.name}: {error}") from error
    text = model.model_to_string(num_iteration=curve.best + 1)
    write_importance(task, data.rows.names, importances(text, len(data.rows.names)))
    seconds = time.perf_counter() - start
    task.write_logs(curve.table(), curve.best, params, data.rows.counts, seconds)
    return text


def importances(text: str, n: int) -> dict[str, list[float]]:
    """Sum the splits of a model's text by feature; n: number of features."""
    values = {key: [np.empty(0)] for key in ("split_feature", "split_gain", "internal_weight")}
    for line in text.splitlines():
        key, _, numbers = line.partition("=")
        if key in values:
            values[key].append(np.array(numbers.split(), np.float64))
    feature, gain, weight = (np.concatenate(parts) for parts in values.values())
    splits = np.bincount(feature.astype(np.int64), minlength=n)
    total_gain, total_weight = (np.bincount(feature.astype(np.int64), x, n) for x in (gain, weight))
    cover = total_weight / np.maximum(splits, 1)
    return {"gain": total_gain.tolist(), "cover": cover.tolist(), "splits": splits.tolist()}
