"""Losses over the candidates of a query: for XGBoost as gradients, for nets as values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import F32

if TYPE_CHECKING:
    import xgboost as xgb
    from torch import Tensor

MIN_CURVATURE = 1e-6


def softmax_gradient(score: F32, rows: xgb.DMatrix) -> tuple[F32, F32]:
    """Gradient and curvature of ListNet's loss (Cao et al., 2007), as xgb.train wants them.

    The loss of a query is -ln of the share that softmax gives a positive, the mean over its
    positives. A query without a positive has gradient and curvature 0.
    """
    starts = rows.get_uint_info("group_ptr").astype(np.int64)
    size, first = np.diff(starts), starts[:-1]
    score = np.exp(score - np.repeat(np.maximum.reduceat(score, first), size))
    share = score / np.repeat(np.add.reduceat(score, first), size)
    label = rows.get_label()
    positives = np.add.reduceat(label, first)
    has_positive = np.repeat(positives > 0, size)
    gradient = share * has_positive - label / np.repeat(np.maximum(positives, 1), size)
    return gradient, np.maximum(share * (1 - share), MIN_CURVATURE) * has_positive


def softmax_loss(score: Tensor, query: Tensor, position: Tensor, label: Tensor) -> Tensor:
    """Mean over all positives of -ln of the share that softmax gives each within its query.

    All are (rows); query: numbers that ascend from 0; position: of the row in its query, from 0.
    """
    table = score.new_full((int(query[-1]) + 1, int(position.max()) + 1), -float("inf"))
    table = table.index_put((query, position), score).log_softmax(dim=1)
    return -table[query, position][label == 1].mean()
