"""Fit stacking: a logistic regression on scores and reciprocal ranks of all rankers.

Wolpert (1992): Stacked generalization.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from src.blend.scored_candidates import ScoredCandidates
from src.core.arrays import F64, I64, hash_unit

QUERIES = 5_000  # with a positive, about, that the regression is fitted on
ALL_FOLDS = -1  # key of the weights that are fitted on all folds
SEED_OFFSET = 3  # so that the drawn queries do not follow another draw of the recipe's seed


def fit_stacks(
    files: Sequence[Path], columns: Sequence[str], truth: pl.DataFrame, fold: I64, folds: int,
    seed: int,
) -> dict[int, F64]:  # fmt: skip
    """Fit the weights of the meta-features without each fold, and on all folds (ALL_FOLDS).

    truth: session, item, grade; fold: of each session of the split. A fold is absent where the
    candidates of the other folds are all positive or all negative.
    """
    sessions = truth.select(pl.col("session").unique().sort())
    unit = hash_unit(pl.col("session"), seed + SEED_OFFSET)
    drawn = sessions.filter(unit < QUERIES / max(sessions.height, 1))["session"].to_numpy()
    features, labels, row_folds = [], [], []
    for file in files:
        candidates = ScoredCandidates.load(file, columns, drawn.astype(np.int64))
        features.append(candidates.meta_features)
        labels.append(candidates.grades(truth) > 0)
        row_folds.append(candidates.per_row(fold[candidates.session]))
    X, y, row_fold = np.concatenate(features), np.concatenate(labels), np.concatenate(row_folds)
    stacks = {}
    for f in (ALL_FOLDS, *range(folds)):
        train = row_fold != f
        if np.unique(y[train]).size == 2:
            scale = X[train].std(axis=0) + 1e-9
            scale[scale < 1e-6] = 1.0  # of a constant feature, such as the rank of a lone candidate
            with threadpool_limits(1):  # threads change the rounding
                model = LogisticRegression(max_iter=200).fit(X[train] / scale, y[train])
            stacks[f] = model.coef_[0] / scale
    return stacks
