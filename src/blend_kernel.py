"""Top lists of a weighted blend of scores, and what they hit: what the weight search repeats."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.rules_kernel import insert_top

RRF = 10.0  # a member's vote for its rank r is 1 / (RRF + r)


@njit(parallel=True, cache=True)
def rank_votes(starts, aid, score):
    """1 / (RRF + rank of the candidate in its query); ties by item id."""
    votes = np.empty(score.size, np.float32)
    for q in prange(starts.size - 1):
        first, end = starts[q], starts[q + 1]
        by_aid = np.argsort(aid[first:end], kind="mergesort")
        order = by_aid[np.argsort(-score[first:end][by_aid], kind="mergesort")]
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


@njit(parallel=True, cache=True)
def top_rows(starts, aid, score, k):
    """Rows of the k best candidates of each query, (queries, k), -1 where there are fewer."""
    n_queries = starts.size - 1
    rows = np.full((n_queries, k), -1, np.int64)
    for q in prange(n_queries):
        best = np.empty(k, np.int32)
        value = np.empty(k, np.float32)
        n = 0
        for r in range(starts[q], starts[q + 1]):
            n = insert_top(best, value, n, aid[r], score[r])
        for i in range(n):
            for r in range(starts[q], starts[q + 1]):
                if aid[r] == best[i]:
                    rows[q, i] = r
    return rows


@njit(parallel=True, cache=True)
def gains(rows, label, reciprocal):
    """What each query's list wins: its hits, or 1 / (place of the first hit)."""
    won = np.zeros(rows.shape[0], np.float64)
    for q in prange(rows.shape[0]):
        for i in range(rows.shape[1]):
            if rows[q, i] >= 0 and label[rows[q, i]]:
                if reciprocal:
                    won[q] = 1.0 / (1 + i)
                    break
                won[q] += 1.0
    return won
