# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Sort the seed items of every query."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top


@njit(parallel=True, cache=True)
def history_lists(offsets, items, weight, top):
    """List the seed items by weight: item, score (queries, top).

    offsets, items, weight: seeds by query as CSR.
    """
    n_queries = offsets.size - 1
    item = np.full((n_queries, top), -1, np.int32)
    score = np.zeros((n_queries, top), np.float32)
    for q in prange(n_queries):
        n, row, row_score = 0, item[q], score[q]
        for i in range(offsets[q], offsets[q + 1]):
            n = insert_top(row, row_score, n, items[i], np.float32(weight[i]))
    return item, score
