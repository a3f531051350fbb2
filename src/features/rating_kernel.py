# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of RatingFeature."""

from __future__ import annotations

from enum import CONTINUOUS, UNIQUE, IntEnum, verify

import numpy as np
from numba import njit, prange

PRIOR = 0.1  # weight of a residual of 0 beside those of the neighbours


@verify(UNIQUE, CONTINUOUS)
class RatingColumn(IntEnum):
    """What the ratings say of a candidate; residuals are those of src/data/ratings.py."""

    ITEM = 0  # bias of the candidate
    ITEM_RATINGS = 1  # number of its ratings
    SESSION = 2  # bias of the session
    SESSION_RATINGS = 3
    NEIGHBOURS = 4  # mean residual of the candidate's neighbours in the history, by weight
    NEIGHBOUR_WEIGHT = 5  # their total weight
    EXPECTED = 6  # mean + both biases + the mean residual of the neighbours


@njit(parallel=True, cache=True)
def rating_columns(
    events, candidates, residual, mean, item_bias, item_count, session_bias, session_count,
    near_offsets, near, weight, n_threads, column, X,
):  # fmt: skip
    """Write a column per RatingColumn.

    residual: of each event, NaN without a rating; the session's last one of an item counts.
    near_offsets, near, weight: neighbours by item as CSR.
    """
    n_queries = candidates.offsets.size - 1
    for t in prange(n_threads):
        own = np.zeros(item_bias.size, np.float64)  # residual of the item in the session
        rated_by = np.full(item_bias.size, -1, np.int64)  # last query with the item
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            s = candidates.first + q
            for i in range(events.offsets[s], events.offsets[s + 1]):
                if not np.isnan(residual[i]):
                    own[events.item[i]], rated_by[events.item[i]] = residual[i], q
            for r in range(candidates.offsets[q], candidates.offsets[q + 1]):
                y, total, of_weights = candidates.item[r], 0.0, 0.0
                for k in range(near_offsets[y], near_offsets[y + 1]):
                    if rated_by[near[k]] == q:
                        total += weight[k] * own[near[k]]
                        of_weights += weight[k]
                shift = total / (of_weights + PRIOR)
                X[r, column + RatingColumn.ITEM] = item_bias[y]
                X[r, column + RatingColumn.ITEM_RATINGS] = item_count[y]
                X[r, column + RatingColumn.SESSION] = session_bias[s]
                X[r, column + RatingColumn.SESSION_RATINGS] = session_count[s]
                X[r, column + RatingColumn.NEIGHBOURS] = shift
                X[r, column + RatingColumn.NEIGHBOUR_WEIGHT] = of_weights
                X[r, column + RatingColumn.EXPECTED] = mean + item_bias[y] + session_bias[s] + shift
