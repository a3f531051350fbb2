"""Base classes of rankers and of their models (step 6), and scores of several models."""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

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


class Host(Protocol):
    """What a model needs beside its file: a Run, or a bundle (src/export)."""

    @property
    def recipe(self) -> Recipe:
        """Recipe that the model was trained for."""

    @property
    def engine(self) -> Engine:
        """Engine that scores."""


ALL = "all"
"""Target of a model that learns all objectives."""
FOLD_LOG = "fold.json"


@dataclass(frozen=True)
class Ranker(ABC):
    """Trains models that score candidates: one per target and fold.

    A kind is a subclass in a module of this folder; a recipe holds its rows. No code outside of the
    subclass depends on the kind. Methods import what trains and scores: reading a recipe loads
    neither XGBoost nor torch.
    """

    suffix: ClassVar[str]  # of the files of models
    features_only: ClassVar[bool]
    """Whether a score depends on the candidate's features alone. If so, models have `margins`, and
    importance.csv in their logs has gains."""

    name: str
    _: KW_ONLY
    objectives: tuple[str, ...] = ()  # that it learns; (): all
    unread: tuple[str, ...] = ()  # beginnings of names of features that it does not read

    @property
    def vectors(self) -> tuple[str, ...]:
        """Names of the embeddings whose vectors of items it reads."""
        return ()

    def learns(self, objective: str) -> bool:
        """Whether it learns an objective."""
        return not self.objectives or objective in self.objectives

    def reads(self, names: Sequence[str]) -> list[str]:
        """Return the names of the features that it may read."""
        return [name for name in names if not name.startswith(self.unread)]

    def check(self, recipe: Recipe) -> None:  # noqa: B027 - some kinds have nothing to check
        """Raise ValueError where the row does not fit the recipe."""

    def causal(self) -> Self:
        """Return the row that `--causal` keeps: a ranker reads nothing but features and history."""
        return self

    def target(self, objective: str) -> str:
        """Return the target of the model that scores for an objective: the objective, or ALL."""
        return objective

    def score_column(self, objective: str) -> str:
        """Return the column of the score files that holds the scores for an objective."""
        return f"{self.name}_{self.target(objective)}"

    def model_file(self, run: Run, objective: str, fold: int) -> Path:
        """Return the file of the model that scores for an objective."""
        return paths.model(run, self.name, self.target(objective), fold, self.suffix)

    def log_folder(self, run: Run, objective: str, fold: int) -> Path:
        """Return the folder with the logs of the model that scores for an objective."""
        return paths.model_logs(run, self.name, self.target(objective), fold)

    def group_key(self) -> Hashable:
        """Return a key of the data that `prepare` makes: rankers with equal keys share the data."""
        return self

    def train_files(self, run: Run, objectives: Sequence[str]) -> list[Path]:
        """List the files of the training table of a model of these objectives: that of step 5.

        A kind that learns from a table of its own makes it here.
        """
        from src.rankers.train_table import train_files

        return train_files(run)

    def inputs(self, run: Run) -> list[Path]:
        """List the files that training reads beside the training table."""
        return []

    @property
    def fit_order(self) -> int:
        """Order among the rankers that share data: lower numbers are fitted first."""
        return 0

    @abstractmethod
    def memory(self, train_set: TrainSet, models_at_a_time: int) -> float:
        """Estimate the bytes that training takes, with models_at_a_time folds in parallel."""

    @abstractmethod
    def prepare(self, run: Run, task: FitTask, train_set: TrainSet) -> Any:
        """Read train and valid rows of a fold into the form that `fit` takes.

        task: of the first ranker of those that share the data. Raises ValueError where the train or
        the valid rows have no positive or no negative.
        """

    @abstractmethod
    def fit(self, task: FitTask, data: Any, path: Path) -> None:
        """Train a model on prepared data; write the model to `path`, and its logs."""

    @abstractmethod
    def load(self, path: Path, run: Host) -> RankerModel:
        """Read a model that `fit` wrote."""

    def export(self, path: Path, to: Path, run: Host) -> list[str]:
        """Copy a model, and write its portable forms beside the copy; return its features."""
        names = self.load(path, run).names
        shutil.copyfile(path, to)
        return names

    def load_portable(self, path: Path, run: Host) -> RankerModel:
        """Read the portable form of a model that `export` copied; trees have one form only."""
        return self.load(path, run)


class RankerModel(ABC):
    """A trained model."""

    objectives: tuple[str, ...] = ()
    """Objectives that have a score each; (): the model gives one score."""

    def of(self, objective: str) -> RankerModel:
        """Return the model that scores for an objective; itself where it gives one score."""
        return OneObjective(self, self.objectives.index(objective)) if self.objectives else self

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Names of the features that the model reads."""

    @abstractmethod
    def scores(self, batch: CandidateBatch) -> F32:
        """Score the candidates of a batch; scores of different queries are not comparable.

        Returns float32 (candidates), or (candidates, objectives) where objectives have a score
        each.
        """

    def margins(self, X: F32, names: list[str], rows: I64 | None = None) -> F32:
        """Score rows of X by their features alone: log-odds or ranking scores, float32 (rows).

        names: of the columns of X. rows: None scores all. Only models of rankers with
        `features_only` implement it.
        """
        raise NotImplementedError(f"{type(self).__name__} needs more than features")


@dataclass(frozen=True)
class OneObjective(RankerModel):
    """The scores of a model for one of its objectives."""

    model: RankerModel
    column: int  # of the model's scores

    @property
    def names(self) -> list[str]:
        return self.model.names

    def scores(self, batch: CandidateBatch) -> F32:
        return np.ascontiguousarray(self.model.scores(batch)[:, self.column])


@dataclass(frozen=True)
class FitTask:
    """One model to train.

    Train rows are those of all other folds. Valid rows are those of `fold`: they stop the training.
    """

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
        """Write curve.csv, params.json and fold.json; fold.json last: then all logs are there.

        curve: a row per evaluated round, or per epoch: the columns `round` and the metrics. best:
        the round that is kept. counts: of TrainSet.counts.
        """
        store.write_text(self.logs / "curve.csv", curve.write_csv())
        store.write_text(self.logs / "params.json", json.dumps(params, indent=1))
        metrics = curve.filter(round=best).drop("round").row(0, named=True)
        summary = {"best_round": best, **metrics, **counts,
                   "seconds": round(seconds, 2), "peak_gib": round(peak_gib(), 3)}  # fmt: skip
        store.write_text(self.logs / FOLD_LOG, json.dumps(summary, indent=1))


def mean_scores(models: Sequence[RankerModel], batch: CandidateBatch) -> F32:
    """Average the scores that models give to the candidates of a batch."""
    total = np.zeros(batch.rows.size, np.float64)
    for model in models:
        total += model.scores(batch)
    return (total / len(models)).astype(np.float32)


def out_of_fold_scores(models: Sequence[RankerModel], batch: CandidateBatch, fold: I64) -> F32:
    """Score each candidate by the model of its fold, which was not trained on its session.

    models: one per fold. fold: int64 (queries), of each query of the batch.
    """
    scores = np.zeros(batch.rows.size, np.float32)
    of_row = np.repeat(fold, np.diff(batch.pool.offsets))
    for f, model in enumerate(models):
        rows = of_row == f
        if rows.any():
            scores[rows] = mean_scores([model], batch.keep_queries(fold == f))
    return scores
