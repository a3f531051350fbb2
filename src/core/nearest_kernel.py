# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Keep a sorted list of the best items per query for the exact search."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(inline="always")
def dot(x, y):
    """Compute the inner product, float32, in a fixed order: four interleaved sums, then theirs."""
    a = b = c = d = np.float32(0.0)
    whole = x.size // 4 * 4
    for i in range(0, whole, 4):
        a += x[i] * y[i]
        b += x[i + 1] * y[i + 1]
        c += x[i + 2] * y[i + 2]
        d += x[i + 3] * y[i + 3]
    for i in range(whole, x.size):
        a += x[i] * y[i]
    return (a + b) + (c + d)


@njit(nogil=True, cache=True)
def insert_best(approximate, queries, items, first, skip, margin, score, index):
    """Insert items first : first + n into each query's list, by dot(query, item).

    approximate: float32 (queries, n), products of queries and items, each off by up to margin / 2.
    They only exclude items. skip: int64 (queries), an item to leave out, or -1. score, index:
    (queries, top), best first, -inf and -1 where a list ends; equal scores keep the order of
    insertion.
    """
    top = score.shape[1]
    for q in range(approximate.shape[0]):
        threshold = score[q, top - 1] - margin
        for j in range(approximate.shape[1]):
            i = first + j
            if approximate[q, j] < threshold or i == skip[q]:
                continue
            value = dot(queries[q], items[i])
            if value > score[q, top - 1]:
                p = top - 1
                while p > 0 and score[q, p - 1] < value:
                    score[q, p] = score[q, p - 1]
                    index[q, p] = index[q, p - 1]
                    p -= 1
                score[q, p] = value
                index[q, p] = i
                threshold = score[q, top - 1] - margin
