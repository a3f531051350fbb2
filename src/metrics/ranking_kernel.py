# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Top lists of scores, and what they hit."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top


@njit(parallel=True, cache=True)
def top_rows(starts, item, score, k):
    """Rows of the k best candidates of each query, (queries, k), -1 where there are fewer."""
    n_queries = starts.size - 1
    rows = np.full((n_queries, k), -1, np.int64)
    for q in prange(n_queries):
        best = np.empty(k, np.int32)
        value = np.empty(k, np.float32)
        n = 0
        for r in range(starts[q], starts[q + 1]):
            n = insert_top(best, value, n, item[r], score[r])
        for i in range(n):
            for r in range(starts[q], starts[q + 1]):
                if item[r] == best[i]:
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
