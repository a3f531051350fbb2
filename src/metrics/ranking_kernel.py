# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Rank the candidates of queries by score, and look up the grades of the lists."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top


@njit(parallel=True, cache=True)
def top_rows(offsets, item, score, k):
    """Find the rows of the k best candidates of each query: int64 (queries, k), -1 at the end.

    offsets: CSR of the candidates by query. item, score: of each candidate. Ties go by item id.
    """
    n_queries = offsets.size - 1
    rows = np.full((n_queries, k), -1, np.int64)
    for q in prange(n_queries):
        best = np.empty(k, np.int32)
        value = np.empty(k, np.float32)
        n = 0
        for r in range(offsets[q], offsets[q + 1]):
            n = insert_top(best, value, n, item[r], score[r])
        for i in range(n):
            for r in range(offsets[q], offsets[q + 1]):
                if item[r] == best[i]:
                    rows[q, i] = r
    return rows


@njit(parallel=True, cache=True)
def listed_grades(rows, grade):
    """Look up the grades of the items of each list: float32 (queries, k), 0 at the end.

    rows (queries, k): of `top_rows`. grade: float32 of each candidate.
    """
    listed = np.zeros(rows.shape, np.float32)
    for q in prange(rows.shape[0]):
        for i in range(rows.shape[1]):
            if rows[q, i] >= 0:
                listed[q, i] = grade[rows[q, i]]
    return listed
