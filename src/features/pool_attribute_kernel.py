# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of PoolAttributeFeature."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True)
def shares(offsets, values, scores, lists, column, X):
    """Write a column per list: scores of the other candidates of the value, over all scores.

    offsets: CSR of the queries. values: float64 (candidates), NaN where unknown. scores:
    (candidates, retrievers). lists: int64, the retrievers.
    """
    for q in prange(offsets.size - 1):
        first, end = offsets[q], offsets[q + 1]
        order = first + np.argsort(values[first:end], kind="mergesort")  # NaN comes last
        for n in range(lists.size):
            total = 0.0
            for r in range(first, end):
                total += max(scores[r, lists[n]], 0.0)
            i = 0
            while i < order.size and not math.isnan(values[order[i]]) and total > 0.0:
                j, of_value = i, 0.0
                while j < order.size and values[order[j]] == values[order[i]]:
                    of_value += max(scores[order[j], lists[n]], 0.0)
                    j += 1
                for k in range(i, j):
                    own = max(scores[order[k], lists[n]], 0.0)
                    X[order[k], column + n] = (of_value - own) / total
                i = j
