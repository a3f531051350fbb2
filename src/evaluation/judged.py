"""The judged candidates of `valid` with probabilities, labels and what they are broken down by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from src.blend.calibration import scenes
from src.blend.cv import BLEND, probabilities_path
from src.core.arrays import F64, I64
from src.core.run import Run
from src.data import paths
from src.data.folds import folds
from src.evaluation.slices import Slices
from src.metrics.probability import Predictions

SCENE_RATE = "scene rate"
"""Predictor: the share of positives among the other folds' rows of the scene."""


@dataclass(frozen=True)
class JudgedTable:
    """Rows of one objective, of equal length: a row per judged candidate.

    probability: by predictor, the blend first and baselines last. rows: session, item, grade, the
    columns of the slices, and `scene` ones by their names.
    """

    objective: str
    rows: pl.DataFrame
    probability: dict[str, F64]
    user: I64

    @classmethod
    def read(cls, run: Run, slices: Slices, columns: pl.DataFrame, objective: str) -> JudgedTable:
        """Take the probabilities of an objective out of those of all."""
        number = run.recipe.objective_names.index(objective)
        of_all = pl.scan_parquet(probabilities_path(run))
        table = of_all.filter(objective=number).drop("objective").collect()
        parts = table.partition_by("predictor", as_dict=True, maintain_order=True)
        found = {BLEND: np.empty(0)}  # where nothing is judged
        found |= {str(key[0]): part["probability"].to_numpy() for key, part in parts.items()}
        rows = table.filter(predictor=BLEND).select("session", "item", "grade")
        rows = rows.join(columns, on=["session", "item"], how="left", maintain_order="left")
        session = rows["session"].to_numpy()
        for name in slices.scenes:
            rows = rows.with_columns(pl.Series(name, scenes(run, "valid", name)[session]))
        found |= baselines(slices, objective, rows, folds(run, "valid")[session])
        return cls(objective, rows, found, users(run)[session])

    @cached_property
    def grade(self) -> F64:
        return self.rows["grade"].to_numpy()

    def predictions(self, predictor: str) -> Predictions:
        """Return the probabilities of a predictor with the labels."""
        return Predictions.known(self.probability[predictor], self.grade, self.user)


def baselines(slices: Slices, objective: str, rows: pl.DataFrame, fold: I64) -> dict[str, F64]:
    """Compute the probabilities of predictors that need no model."""
    found = {SCENE_RATE: scene_rates(slices, rows, fold)}
    for name, column in slices.rates:
        if name == objective:
            found[column] = rows[column].to_numpy().astype(np.float64)
    return found


def scene_rates(slices: Slices, rows: pl.DataFrame, fold: I64) -> F64:
    """Return the share of positives in the scene of each row, among rows of other folds.

    A row with the share of all scenes is added to each, and half a positive to all.
    """
    scene = np.zeros(rows.height, np.int64)
    for name in slices.scenes[:1]:
        scene = rows[name].to_numpy()
    positive, rate = rows["grade"].to_numpy() > 0, np.empty(rows.height)
    _, number = np.unique(scene, return_inverse=True)
    for f in np.unique(fold):
        other = fold != f
        every = (positive[other].sum() + 0.5) / (other.sum() + 1.0)
        count = np.bincount(number[other], minlength=number.max(initial=0) + 1)
        positives = np.bincount(number[other & positive], minlength=count.size)
        rate[fold == f] = ((positives + every) / (count + 1.0))[number[fold == f]]
    return rate


def users(run: Run) -> I64:
    """Return the user of each session of `valid`, or the session where there is no user."""
    sessions = pl.read_parquet(paths.sessions(run, "valid"))
    if "user" not in sessions.columns:
        return np.arange(sessions.height)
    return sessions["user"].rank("dense").to_numpy().astype(np.int64) - 1
