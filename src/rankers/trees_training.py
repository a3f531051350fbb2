"""What trainers of boosted trees share: the rows of a fold, the logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from src.core import store
from src.core.arrays import F32, Mask
from src.rankers.base import FitTask
from src.rankers.selection import features_of
from src.rankers.train_set import TrainSet
from src.rankers.trees import TreesRanker

LOG_LOSS = ("logloss", "binary_logloss")
"""Names of the log loss of two classes: XGBoost's and LightGBM's."""
IMPORTANCES = ("gain", "cover", "splits")
EVERY = 5
"""Rounds from one evaluation to the next."""


@dataclass(frozen=True)
class FoldRows:
    """The rows of a training set that one fold is trained on, and those that stop the training."""

    train_set: TrainSet
    names: list[str]  # of the features that the models read
    train: Mask
    valid: Mask
    of_fold: int
    counts: dict[str, int]  # of rows and positives

    @classmethod
    def of(
        cls, task: FitTask, train_set: TrainSet, max_features: int | None,
        always: Sequence[str] = (),
    ) -> FoldRows:  # fmt: skip
        """Select the features; ValueError where a label is missing in one of the parts.

        always: names of features that are kept, selected or not.
        """
        train_set.check(task.target, task.fold)
        chosen = {*features_of(task, train_set, max_features), *always}
        train = train_set.fold != task.fold
        names = [name for name in train_set.names if name in chosen]
        return cls(train_set, names, train, ~train, task.fold, train_set.counts(task.fold))

    def labels(self, ranker: TreesRanker, target: str) -> tuple[F32, F32]:
        """Return the labels of the train and of the valid rows for the loss of a ranker.

        Raises ValueError where no row of a part has label 0 and the loss knows two classes only.
        """
        train, valid = (ranker.labels(self.train_set.label[m]) for m in (self.train, self.valid))
        if ranker.is_binary and min(train.max() - train.min(), valid.max() - valid.min()) == 0:
            raise ValueError(
                f"ranker {ranker.name}, {target}: {ranker.loss} tells grades above 0 from 0, but "
                "all rows of a fold are on one side; take a loss of grades, rank:ndcg or lambdarank"
            )
        return train, valid

    def corrections(self, ranker: TreesRanker) -> tuple[F32, F32] | None:
        """Return TrainSet.correction of the train and of the valid rows, if the loss takes it."""
        if not (ranker.is_of_odds and self.train_set.log_chance.any()):
            return None
        correction = self.train_set.correction(self.of_fold)
        return correction[self.train], correction[self.valid]


@dataclass
class Curve:
    """The metrics of every fifth round of a model, and the round that is the best.

    To evaluate all rows, train and valid, takes almost as long as to grow a tree.
    """

    ranker: TreesRanker
    larger_is_better: bool = True  # of the metric that stops the training
    rounds: list[int] = field(default_factory=list)  # counted from 0
    values: dict[str, list[float]] = field(default_factory=dict)  # train_auc, ..., valid_auc, ...
    best: int = 0  # round
    metric: str = ""  # the one that stops the training

    def is_due(self, number: int) -> bool:
        """Return whether to evaluate a round: the last one is, too."""
        return (number + 1) % EVERY == 0 or number + 1 == self.ranker.num_boost_round

    def add(self, number: int, values: Mapping[str, Mapping[str, float]]) -> bool:
        """Log the metrics of a round; return whether early_stopping_rounds were no better.

        values: "train" and "valid" -> metric -> value; the last metric decides. NaN is the worst.
        """
        self.rounds.append(number)
        for rows, metrics in values.items():
            for name, value in metrics.items():
                self.values.setdefault(f"{rows}_{name}", []).append(value)
        self.metric = list(values["valid"])[-1]
        stop = np.array(self.values[f"valid_{self.metric}"])
        stop = np.where(np.isnan(stop), -np.inf, stop if self.larger_is_better else -stop)
        self.best = self.rounds[int(stop.argmax())]
        return number - self.best >= self.ranker.early_stopping_rounds

    def table(self) -> pl.DataFrame:
        """Make a table: round, train_auc, ..., valid_auc, ...; what stops the training is last."""

        def place(column: str) -> tuple[bool, bool, bool]:
            rows, _, metric = column.partition("_")
            return rows == "valid", metric == self.metric, metric != "auc"

        columns = {c.replace("@", "_"): self.values[c] for c in sorted(self.values, key=place)}
        return pl.DataFrame({"round": self.rounds} | columns)


def write_importance(
    task: FitTask, names: list[str], scores: Mapping[str, Sequence[float]]
) -> None:
    """Write importance.csv: a row per feature, by gain.

    scores: gain, total over the splits; cover, of a mean split: the sum of the rows' curvatures;
    splits, their number.
    """
    table = pl.DataFrame({"feature": names} | {c: list(scores[c]) for c in IMPORTANCES})
    table = table.sort("gain", "feature", descending=[True, False])
    store.write_text(task.logs / "importance.csv", table.write_csv())
