# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Top lists of a weighted blend of scores, and what they hit: what the weight search repeats."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

RRF = 10.0  # a member's vote for its rank r is 1 / (RRF + r)


@njit(parallel=True, cache=True)
def rank_votes(starts, item, score):
    """1 / (RRF + rank of the candidate in its query); ties by item id."""
    votes = np.empty(score.size, np.float32)
    for q in prange(starts.size - 1):
        first, end = starts[q], starts[q + 1]
        by_item = np.argsort(item[first:end], kind="mergesort")
        order = by_item[np.argsort(-score[first:end][by_item], kind="mergesort")]
        for rank in range(order.size):
            votes[first + order[rank]] = 1.0 / (RRF + rank)
    return votes


@njit(parallel=True, cache=True)
def softmax(starts, score):
    """The share that softmax gives the candidate's score in its query."""
    votes = np.empty(score.size, np.float32)
    for q in prange(starts.size - 1):
        first, end = starts[q], starts[q + 1]
        most, total = score[first], 0.0
        for r in range(first, end):
            most = max(most, score[r])
        for r in range(first, end):
            total += math.exp(score[r] - most)
        for r in range(first, end):
            votes[r] = math.exp(score[r] - most) / total
    return votes
