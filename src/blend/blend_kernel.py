# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Transform scores within a query, so that scores of different rankers can be added."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.candidates.pool_kernel import RRF_K


@njit(parallel=True, cache=True)
def reciprocal_ranks(offsets, item, score):
    """1 / (RRF_K + rank of the candidate in its query), float32; ranks from 0, ties by item."""
    reciprocal = np.empty(score.size, np.float32)
    for q in prange(offsets.size - 1):
        first, end = offsets[q], offsets[q + 1]
        by_item = np.argsort(item[first:end], kind="mergesort")
        order = by_item[np.argsort(-score[first:end][by_item], kind="mergesort")]
        for rank in range(order.size):
            reciprocal[first + order[rank]] = 1.0 / (RRF_K + rank)
    return reciprocal


@njit(parallel=True, cache=True)
def softmax(offsets, score):
    """Softmax of the scores within each query, float32."""
    probability = np.empty(score.size, np.float32)
    for q in prange(offsets.size - 1):
        first, end = offsets[q], offsets[q + 1]
        highest, total = score[first], 0.0
        for r in range(first, end):
            highest = max(highest, score[r])
        for r in range(first, end):
            total += math.exp(score[r] - highest)
        for r in range(first, end):
            probability[r] = math.exp(score[r] - highest) / total
    return probability
