"""Folds of sessions for cross-validation."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.arrays import I64, hash_unit
from src.core.run import Run
from src.data import paths


def folds(run: Run, split: str) -> I64:
    """Fold of every dense session of `valid`, (sessions,); -1 for the sessions of other splits.

    Models of all folds train on the other splits, none of whose queries is scored.
    """
    hashed = all_folds(run, split)
    return hashed if split == "valid" else np.full_like(hashed, -1)


def all_folds(run: Run, split: str) -> I64:
    """Fold of every dense session of any split: a hash of its raw id, the same in all splits."""
    raw = pl.read_parquet(paths.sessions(run, split))
    unit = raw.select(hash_unit(pl.col("session"), run.recipe.seed + 1)).to_series().to_numpy()
    return (unit * run.recipe.folds).astype(np.int64)
