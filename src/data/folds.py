"""Assign sessions to folds for cross-validation."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.core.arrays import I64, hash_unit
from src.core.run import Run
from src.data import paths

SEED_OFFSET = 1
"""Added to the seed, so that folds do not depend on --sample, which hashes with the seed itself."""


def folds(run: Run, split: str) -> I64:
    """Return the fold of every session of `valid`: int64 (sessions); -1 in all other splits.

    Sessions of other splits are not scored, so the models of all folds train on them.
    """
    hashed = all_folds(run, split)
    return hashed if split == "valid" else np.full_like(hashed, -1)


def all_folds(run: Run, split: str) -> I64:
    """Return the fold of every session of any split, a hash of its raw id: int64 (sessions).

    Sessions of one user share a fold where sessions.parquet names users.
    """
    raw = pl.read_parquet(paths.sessions(run, split))
    of = pl.col("user" if "user" in raw.columns else "session")
    unit = raw.select(hash_unit(of, run.recipe.seed + SEED_OFFSET)).to_series()
    return (unit.to_numpy() * run.recipe.folds).astype(np.int64)
