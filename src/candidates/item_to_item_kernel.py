# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Sum the neighbours of the seed items of every query."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top


@njit(parallel=True, cache=True)
def item_to_item_lists(
    offsets,
    rows,
    weight,
    near_offsets,
    near,
    near_weight,
    n_items,
    neighbours,
    normalize,
    power,
    top,
    n_threads,
):
    """List the neighbours of the seed items by the sum of their weights.

    Returns item and score, (queries, top).
    offsets, rows, weight: seeds by query as CSR, by their rows of the matrix. near_offsets, near,
    near_weight: neighbours by row as CSR.
    """
    n_queries = offsets.size - 1
    item = np.full((n_queries, top), -1, np.int32)
    score = np.zeros((n_queries, top), np.float32)
    for t in prange(n_threads):
        total = np.zeros(n_items, np.float64)
        touched = np.empty(n_items, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            n_touched = 0
            for i in range(offsets[q], offsets[q + 1]):
                first = near_offsets[rows[i]]
                end = min(near_offsets[rows[i] + 1], first + neighbours)
                unit = weight[i]
                if normalize:
                    unit = weight[i] / max(near_weight[first:end].sum(), np.float32(1e-30)) ** power
                for j in range(first, end):
                    vote = unit * near_weight[j] if normalize else unit
                    if vote > 0.0:
                        if total[near[j]] == 0.0:
                            touched[n_touched] = near[j]
                            n_touched += 1
                        total[near[j]] += vote
            n, row, row_score = 0, item[q], score[q]
            for k in range(n_touched):
                y = touched[k]
                n = insert_top(row, row_score, n, y, np.float32(total[y]))
                total[y] = 0.0
    return item, score
