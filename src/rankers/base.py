"""What a ranker is (step 6), the models it trains, and how their scores are combined."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from src.core import store
from src.core.arrays import F32, I64
from src.core.budget import peak_gib
from src.core.engines.base import Engine
from src.core.run import Run
from src.data import paths

if TYPE_CHECKING:
    from src.data.recipe import Recipe
    from src.rankers.batches import CandidateBatch
    from src.rankers.train_set import TrainSet

ALL = "all"
"""Target of a ranker that learns all objectives in one model."""


@dataclass(frozen=True)
class Ranker(ABC):
    """Scores the candidates of a query: a model per fold and target.

    A kind is a subclass in a module of this folder; a recipe holds its rows. No code outside of the
    subclass depends on the kind. What trains and scores is imported inside of methods: a recipe
    that is read loads neither XGBoost nor torch.
    """

    suffix: ClassVar[str]  # of the files of models
    features_only: ClassVar[bool]
    """A score depends on the candidate's features alone: models have `margins`, and their logs an
    importance.csv."""

    name: str

    def check(self, recipe: Recipe) -> None:  # noqa: B027 - some kinds have nothing to check
        """Raise ValueError where the row does not fit the recipe."""

    def causal(self) -> Self:
        """What `--causal` leaves: the ranker itself, which sees no more than its features do."""
        return self

    def target(self, objective: str) -> str:
        """What a model learns that scores for an objective: this one, or ALL of them."""
        return objective

    def score_column(self, objective: str) -> str:
        """Column of the score files that holds the scores for an objective."""
        return f"{self.name}_{self.target(objective)}"

    def model_file(self, run: Run, objective: str, fold: int) -> Path:
        """File of the model that scores for an objective."""
        return paths.model(run, self.name, self.target(objective), fold, self.suffix)

    def log_folder(self, run: Run, objective: str, fold: int) -> Path:
        """Folder with the logs of the same model."""
        return paths.model_logs(run, self.name, self.target(objective), fold)

    def group_key(self) -> Hashable:
        """Key of what `prepare` returns: rankers with equal keys share it, target by target."""
        return self

    @property
    def fit_order(self) -> int:
        """Place within a group: lower numbers are fitted first."""
        return 0

    @abstractmethod
    def memory(self, train_set: TrainSet, models_at_a_time: int) -> float:
        """Bytes that training takes, with so many folds at the same time."""

    @abstractmethod
    def prepare(self, run: Run, task: FitTask, train_set: TrainSet) -> Any:
        """Read the rows of a fold into the form that `fit` takes.

        The task is that of the first ranker of a group. Raises ValueError where the train or the
        valid rows hold no positive or no negative.
        """

    @abstractmethod
    def fit(self, task: FitTask, data: Any, path: Path) -> None:
        """Train a model on prepared data; write it to the path, and its logs with the task."""

    @abstractmethod
    def load(self, path: Path, run: Run) -> RankerModel:
        """Read a model that `fit` has written."""


class RankerModel(ABC):
    """A trained model."""

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Names of the features that it reads."""

    @abstractmethod
    def scores(self, batch: CandidateBatch) -> F32:
        """Score the candidates of a batch; only the order within a query matters."""

    def margins(self, X: F32, names: list[str], rows: I64 | None = None) -> F32:
        """Score some rows (None: all) of X, whose columns have these names, by features alone.

        Log-odds or ranking scores. Only models of rankers with `features_only` can.
        """
        raise NotImplementedError(f"{type(self).__name__} needs more than features")


@dataclass(frozen=True)
class FitTask:
    """One model to train: on the rows of all other folds, stopped early by those of its fold."""

    ranker: Ranker
    target: str
    fold: int
    logs: Path  # folder
    engine: Engine
    seed: int

    def __str__(self) -> str:
        return f"{self.target} {self.ranker.name}, fold {self.fold}"

    def write_logs(
        self, curve: pl.DataFrame, best: int, params: Mapping[str, object],
        counts: Mapping[str, int], seconds: float,
    ) -> None:  # fmt: skip
        """Write curve.csv, params.json and fold.json, the last one as a sign that all are there.

        curve: a row per round, in the column `round` and the metrics; best: the round that is kept;
        counts: rows and positives that the model learned from.
        """
        store.write_text(self.logs / "curve.csv", curve.write_csv())
        store.write_text(self.logs / "params.json", json.dumps(params, indent=1))
        metrics = curve.drop("round").row(best, named=True)
        summary = {"best_round": best, **metrics, **counts,
                   "seconds": round(seconds, 2), "peak_gib": round(peak_gib(), 3)}  # fmt: skip
        store.write_text(self.logs / FOLD_LOG, json.dumps(summary, indent=1))


FOLD_LOG = "fold.json"


def mean_scores(models: Sequence[RankerModel], batch: CandidateBatch) -> F32:
    """Average the scores of some models for the candidates of a batch."""
    total = np.zeros(batch.rows.size, np.float64)
    for model in models:
        total += model.scores(batch)
    return (total / len(models)).astype(np.float32)


def out_of_fold_scores(models: Sequence[RankerModel], batch: CandidateBatch, fold: I64) -> F32:
    """Score each candidate by the model of its fold, which has not learned from its session.

    models: one a fold; fold: of each query of the batch.
    """
    scores = np.zeros(batch.rows.size, np.float32)
    of_row = np.repeat(fold, np.diff(batch.pool.offsets))
    for f, model in enumerate(models):
        rows = of_row == f
        if rows.any():
            scores[rows] = mean_scores([model], batch.keep_queries(fold == f))
    return scores
