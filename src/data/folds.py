"""Folds of sessions."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.arrays import I64, hash_unit
from src.core.run import Run

AGAIN = "again"  # splits of the sessions of `valid`, cut elsewhere: of the same folds


def folds(run: Run, split: str) -> I64:
    """Fold of every dense session: a hash of its raw id, so it never moves; -1 if not in `valid`.

    (Models of all folds learn from other sessions than those of `valid`: none of them is scored.)
    """
    every = all_folds(run, split)
    return every if split == "valid" or split.startswith(AGAIN) else np.full_like(every, -1)


def all_folds(run: Run, split: str) -> I64:
    """Fold that every dense session of any split would have."""
    raw = pl.read_parquet(run.output / split / "sessions.parquet")
    unit = raw.select(hash_unit(pl.col("session"), run.recipe.seed + 1)).to_series().to_numpy()
    return (unit * run.recipe.folds).astype(np.int64)
