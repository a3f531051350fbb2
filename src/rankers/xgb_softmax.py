"""Softmax loss over the candidates of a query: gradients for XGBoost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import F32

if TYPE_CHECKING:
    import xgboost as xgb

MIN_CURVATURE = 1e-6
"""Lower bound of the curvature: XGBoost divides by sums of it."""


def softmax_gradient(score: F32, rows: xgb.DMatrix) -> tuple[F32, F32]:
    """Compute gradient and curvature of ListNet's loss (Cao et al., 2007) for xgb.train.

    The loss of a query is the mean over its positives of -ln(softmax of the positive's score),
    weighted by their grades. A query without a positive has gradient and curvature 0.
    score: float32 (rows). rows: with the query of each row (qid). Returns two arrays (rows).
    """
    offsets = rows.get_uint_info("group_ptr").astype(np.int64)
    size, first = np.diff(offsets), offsets[:-1]
    score = np.exp(score - np.repeat(np.maximum.reduceat(score, first), size))
    share = score / np.repeat(np.add.reduceat(score, first), size)
    label = rows.get_label()
    positives = np.add.reduceat(label, first)
    has_positive = np.repeat(positives > 0, size)
    gradient = share * has_positive - label / np.repeat(np.where(positives > 0, positives, 1), size)
    return gradient, np.maximum(share * (1 - share), MIN_CURVATURE) * has_positive
