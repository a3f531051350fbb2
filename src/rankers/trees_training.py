"""What trainers of boosted trees share: the rows of a fold, the logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class FoldRows:
    """The rows of a training set that one fold is trained on, and those that stop the training."""

    train_set: TrainSet
    names: list[str]  # of the features that the models read
    train: Mask
    valid: Mask
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
        return cls(train_set, names, train, ~train, train_set.counts(task.fold))

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


def curve_table(curve: Mapping[str, Mapping[str, Sequence[float]]], stop: str) -> pl.DataFrame:
    """Make a table of evaluations: round, train_auc, ..., valid_auc, ...

    curve: "train" and "valid" -> metric -> value of each round. stop: the metric that decides when
    to stop; it comes last, and of the others AUC first.
    """
    columns = {
        f"{rows}_{metric.replace('@', '_')}": metrics[metric]
        for rows, metrics in curve.items()
        for metric in sorted(metrics, key=lambda name: (name == stop, name != "auc"))
    }
    return pl.DataFrame({"round": range(len(curve["valid"]["auc"]))} | columns)


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
