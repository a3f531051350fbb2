"""Calibrate blends and rankers on the out-of-fold scores of `valid`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from src.blend.judged_rows import JudgedRows, Weighted
from src.calibrators.base import Calibration, Calibrator
from src.core.arrays import F64, I64
from src.core.run import Run
from src.data import paths
from src.data.splits import split_named

UNKNOWN_SCENE = -1


def scenes(run: Run, split: str, column: str) -> I64:
    """Return a column of IMPRESSIONS for each session of a split: int64 (sessions).

    Zeros where there is no column; UNKNOWN_SCENE where it has no value, and for sessions that are
    no queries. Raises ValueError where the split lacks the column.
    """
    sizes = split_named(run, split)
    found = np.full(sizes.sessions, UNKNOWN_SCENE if column else 0, np.int64)
    if not column:
        return found
    path = paths.impressions(run, split)
    if not path.exists() or column not in pl.read_parquet_schema(path):
        raise ValueError(f"{path} has no scene column {column}; name one of its columns")
    found[sizes.first_query :] = scene_numbers(pl.read_parquet(path, columns=[column])[column])
    return found


def scene_numbers(values: pl.Series) -> I64:
    """Return scenes as whole numbers, UNKNOWN_SCENE for null and NaN: int64 (rows)."""
    known = values.fill_nan(None) if values.dtype.is_float() else values
    return known.fill_null(UNKNOWN_SCENE).cast(pl.Int64).to_numpy()


def scene_inputs(run: Run, split: str, column: str) -> list[Path]:
    """List the files that `scenes` reads."""
    return [paths.impressions(run, split)] if column else []


def cross_fitted(
    row: Calibrator, rows: JudgedRows, fold: I64, scene: I64, columns: Sequence[int]
) -> F64:
    """Return the probability of each row, from a calibrator fitted on all other folds.

    fold, scene: of each row. columns: for each fold, the column of the log-odds of its blend. The
    other folds are scored by the blend of the fold at hand, so that both have one scale.
    """
    found = np.empty(rows.grade.size)
    for f, column in enumerate(columns):
        own, log_odds = fold == f, rows.log_odds[:, column]
        fitted = Calibration.fit(row, log_odds[~own], rows.grade[~own] > 0, scene[~own])
        found[own] = fitted.probabilities(log_odds[own], scene[own])
    return found


def out_of_fold(
    row: Calibrator, files: Sequence[Path], columns: Sequence[str], truth: pl.DataFrame,
    fold: I64, scene: I64, blends: dict[str, list[Weighted]],
) -> pl.DataFrame:  # fmt: skip
    """Return the probabilities of judged candidates, out of fold: predictor, session, item, ...

    fold, scene: of each session. blends: by name of the predictor, the blend of each fold, or one
    of all folds.
    """
    weighted = [entry for of_folds in blends.values() for entry in of_folds]
    rows = JudgedRows.read(files, columns, truth, weighted)
    of_row = fold[rows.session], scene[rows.session]
    tables, first = [], 0
    for name, of_folds in blends.items():
        of_fold = [first + f % len(of_folds) for f in range(int(fold.max(initial=0)) + 1)]
        first += len(of_folds)
        probability = cross_fitted(row, rows, *of_row, of_fold)
        keys = {"session": rows.session, "item": rows.item, "grade": rows.grade}
        table = pl.DataFrame({**keys, "probability": probability})
        tables.append(table.select(pl.lit(name).alias("predictor"), pl.all()))
    return pl.concat(tables)
