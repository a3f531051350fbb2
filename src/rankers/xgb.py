"""XGBoost rankers: one model per ranker row, objective and fold, each with a log one can open."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray
from tqdm import tqdm

from src.core import store
from src.core.arrays import F32, I32, I64
from src.core.budget import peak_gib
from src.core.engine import Engine
from src.rankers.compiled_trees import CompiledTrees
from src.rankers.rows import Ranker, XGBoostRanker
from src.rankers.train_set import Batches, Rows

FEW_ROWS, FEW_ROUNDS = 15_000, 20
SHORT = (
    ("objective", "binary:logistic"), ("tree_method", "hist"), ("max_depth", 6),
    ("learning_rate", 0.3), ("colsample_bytree", 0.3), ("max_bin", 64), ("nthread", 1),
)  # fmt: skip
"""Of the short model that tells which columns are worth the time, where a row asks for fewer."""

SOFTMAX = "softmax"
"""An objective of our own: XGBoost's rank:ndcg looks at pairs, this at a query as a whole."""
CURVATURE = 1e-6  # of the softmax loss, at least

R = TypeVar("R", bound=Ranker)
T = TypeVar("T")
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Job(Generic[R]):
    """One model to train: on the rows of the other folds, stopped early on this one."""

    row: R
    objective: str
    fold: int
    logs: Path

    @property
    def params(self: Job[XGBoostRanker]) -> dict[str, float | int | str]:
        return dict(self.row.params)

    def boost(
        self: Job[XGBoostRanker], rows: xgb.DMatrix, rounds: int, more: dict[str, Any], **how: Any
    ) -> xgb.Booster:
        """Train so many rounds; `more` parameters, and `how`: what else xgb.train wants.

        On one thread: with another number of threads XGBoost sums in another order.
        """
        params = {**self.params, "tree_method": "hist", "nthread": 1, **more}
        if params["objective"] == SOFTMAX:
            params.pop("objective")
            params["base_score"], how["obj"] = 0.0, softmax_loss
        return xgb.train(params, rows, rounds, **how)


TreeJob = Job[XGBoostRanker]


def by_query(row: XGBoostRanker) -> bool:
    """Whether its objective looks at the rows of a query together."""
    return str(dict(row.params)["objective"]).startswith(("rank:", SOFTMAX))


def softmax_loss(score: F32, rows: xgb.DMatrix) -> tuple[F32, F32]:
    """Gradient and curvature of -ln of the share that softmax gives a query's true candidates.

    ListNet's loss (Cao et al., 2007); where several came true, each counts the same.
    """
    starts = rows.get_uint_info("group_ptr").astype(np.int64)
    size, first = np.diff(starts), starts[:-1]
    score = np.exp(score - np.repeat(np.maximum.reduceat(score, first), size))
    share = score / np.repeat(np.add.reduceat(score, first), size)
    label = rows.get_label()
    true = np.add.reduceat(label, first)
    told = np.repeat(true > 0, size)  # queries of which nothing came true tell nothing
    gradient = share * told - label / np.repeat(np.maximum(true, 1), size)
    return gradient, np.maximum(share * (1 - share), CURVATURE) * told


@dataclass(frozen=True)
class Binned:
    """What one fold's models learn from, and are stopped by: the columns `names`, binned.

    known: the rows of the other folds; held: the fold's own, in the same bins; each with the query
    of every row.
    """

    names: list[str]
    known: xgb.QuantileDMatrix
    held: xgb.QuantileDMatrix
    queries: tuple[I32, I32]

    @classmethod
    def of(cls, job: TreeJob, rows: Rows, names: list[str]) -> Binned:
        """Raises ValueError where one of them has no positive, or nothing else."""
        known, held = masks = rows.fold != job.fold, rows.fold == job.fold
        for mask in masks:
            if np.unique(rows.label[mask]).size < 2:
                raise ValueError(
                    f"objective {job.objective}, fold {job.fold}: no positive among {mask.sum()} "
                    "rows; take more data (a larger --sample) or fewer folds"
                )
        how = {"max_bin": int(job.params.get("max_bin", 256)), "nthread": 1}
        learned = xgb.QuantileDMatrix(Batches(rows, known, names), **how)
        stopped = xgb.QuantileDMatrix(Batches(rows, held, names), **how, ref=learned)
        return cls(names, learned, stopped, (rows.query[known], rows.query[held]))

    def tell_queries(self) -> None:
        """Tell XGBoost, for good, which rows are one query's; AUC is a mean over queries then."""
        for rows, query in zip((self.known, self.held), self.queries, strict=True):
            rows.set_info(qid=query)


@lru_cache(maxsize=64)  # rankers of an objective and fold that share no bins ask for the same
def useful(
    files: tuple[Path, ...], objectives: tuple[str, ...], fold: int, names: tuple[str, ...],
    columns: int, device: str, seed: int,
) -> list[str]:  # fmt: skip
    """The columns that a short model of the other folds' rows gains most by, in the given order."""
    rows = Rows.load(files, objectives)
    few = rows.some(rows.fold != fold, FEW_ROWS)
    X = rows.gather(few, list(names))
    return most_gained(X, rows.label[few] > 0, list(names), columns, device, seed)


def most_gained(
    X: F32, label: NDArray[Any], names: list[str], columns: int, device: str, seed: int
) -> list[str]:
    """The columns of X that a short model gains most by, in the given order; one at least."""
    known = xgb.QuantileDMatrix(X, label, feature_names=names, nthread=1, max_bin=64)
    params = dict(SHORT) | {"device": device, "seed": seed}
    gain = xgb.train(params, known, FEW_ROUNDS).get_score(importance_type="total_gain")
    best = sorted(gain, key=lambda name: (-np.max(gain[name]), name))[:columns] or names[:1]
    return [name for name in names if name in best]


def chosen(job: Job[R], rows: Rows, names: list[str], engine: Engine, seed: int) -> list[str]:
    """The columns that a ranker row wants."""
    if job.row.columns is None or job.row.columns >= len(names):
        return names
    where = (rows.files, rows.objectives, job.fold)
    return useful(*where, tuple(names), job.row.columns, engine.xgb_device, seed)


def train(job: TreeJob, data: Binned, engine: Engine, seed: int) -> xgb.Booster:
    """Train one model; write its curve.csv, importance.csv, params.json and fold.json."""
    start = time.perf_counter()
    known, held = data.known, data.held
    if by_query(job.row):
        data.tell_queries()
    metrics = list(dict.fromkeys(["auc", job.row.metric]))  # the last one stops
    more = {"device": engine.xgb_device, "seed": seed, "eval_metric": metrics}
    curve: dict[str, dict[str, list[float]]] = {}
    with Bar(job) as bar:
        model = job.boost(
            known, job.row.rounds, more, evals=[(known, "train"), (held, "valid")],
            early_stopping_rounds=job.row.patience, evals_result=curve, verbose_eval=False,
            callbacks=[bar],
        )  # fmt: skip
    best = model.best_iteration
    model = model[: best + 1]
    _write_logs(job, model, curve, data.names, job.params | more)
    facts = {
        "best_round": best,
        **{f"{part}_{m}": curve[part][m][best] for part in curve for m in metrics},
        "train_rows": known.num_row(), "valid_rows": held.num_row(),
        "train_positives": int(np.count_nonzero(known.get_label())),
        "valid_positives": int(np.count_nonzero(held.get_label())),
        "seconds": round(time.perf_counter() - start, 2), "peak_gib": round(peak_gib(), 3),
    }  # fmt: skip
    store.write_text(job.logs / "fold.json", json.dumps(facts, indent=1))
    return model


class Bar(xgb.callback.TrainingCallback):
    """A bar of the rounds of a model, a line a fold; early stopping may end it before its end."""

    def __init__(self, job: TreeJob) -> None:
        self.bar = tqdm(
            total=job.row.rounds, desc=f"{job.objective} {job.row.name}, fold {job.fold}",
            position=job.fold, leave=False, disable=None, delay=2, mininterval=1.0,
        )  # fmt: skip

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: dict) -> bool:
        self.bar.update()
        return False


def _write_logs(
    job: TreeJob,
    model: xgb.Booster,
    curve: dict,
    names: list[str],
    params: Mapping[str, object],
) -> None:
    values = {f"{rows}_{m}": v for rows, found in curve.items() for m, v in found.items()}
    by_round = pl.DataFrame({"round": range(len(curve["train"]["auc"]))} | values)
    store.write_text(job.logs / "curve.csv", by_round.write_csv())
    kinds = {"gain": "total_gain", "cover": "cover", "splits": "weight"}
    scores = {kind: model.get_score(importance_type=name) for kind, name in kinds.items()}
    columns = {kind: [found.get(f, 0.0) for f in names] for kind, found in scores.items()}
    importance = pl.DataFrame({"feature": names} | columns)
    importance = importance.sort("gain", "feature", descending=[True, False])
    store.write_text(job.logs / "importance.csv", importance.write_csv())
    store.write_text(job.logs / "params.json", json.dumps(params, indent=1))


def memory(rows: Rows, columns: int, all_columns: int, threads: int) -> float:
    """Bytes that so many folds take while they train at once: a byte a cell, and a file as read."""
    largest = int(np.diff(rows.starts).max())
    few = min(FEW_ROWS + largest, rows.label.size) * all_columns if columns < all_columns else 0
    return threads * (1.25 * rows.label.size * columns + few + 8.0 * largest * all_columns)


@dataclass(frozen=True)
class XGBoostFallback:
    """Trees too deep for a `Forest`: XGBoost itself scores."""

    model: xgb.Booster

    @property
    def names(self) -> list[str]:
        return list(self.model.feature_names or [])

    def margins(self, X: F32, columns: I64, rows: I64) -> F32:
        """As a Forest's."""
        found: F32 = self.model.inplace_predict(X[np.ix_(rows, columns)], predict_type="margin")
        return found


Trees = CompiledTrees | XGBoostFallback
"""What scores."""


def load(path: Path, threads: int) -> Trees:
    """A model to score with."""
    return _loaded(path.read_bytes(), threads)


@lru_cache(maxsize=128)  # all blocks ask for the same
def _loaded(stored: bytes, threads: int) -> Trees:
    return scorer(xgb.Booster(model_file=bytearray(stored)), threads)


def scorer(model: xgb.Booster, threads: int) -> Trees:
    """What a model of the moment scores with."""
    model.set_param({"nthread": threads})
    return CompiledTrees.of(model) or XGBoostFallback(model)


def predict(models: Sequence[Trees], X: F32, names: list[str], rows: I64 | None = None) -> F32:
    """Mean prediction of some models (log-odds or ranking score) for rows of features `names`."""
    place = {name: column for column, name in enumerate(names)}
    chosen = np.arange(X.shape[0]) if rows is None else rows
    total = np.zeros(chosen.size, np.float64)
    for model in models:
        total += model.margins(X, np.array([place[name] for name in model.names]), chosen)
    return (total / len(models)).astype(np.float32)


def in_parallel(engine: Engine, tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run tasks on all cores, or one after the other on a GPU; results in order."""
    with ThreadPoolExecutor(1 if engine.name == "gpu" else engine.threads) as workers:
        return list(workers.map(lambda task: task(), tasks))
