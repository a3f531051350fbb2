# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Keep the best children of the beams of every query."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top


@njit(parallel=True, cache=True)
def best_children(first, code, node, likelihood, next_likelihood, width):
    """Return node, likelihood and beam of the best children of each query's beams.

    first, code: a Level. node: int32 (queries, beams), -1 where there is none; likelihood: float32,
    of the same shape, natural logarithm. next_likelihood: float32 (queries, beams, codes). Returns
    int32, float32 and int32 (queries, width), best first, ties by node; -1 where there are fewer.
    """
    n_queries, n_beams = node.shape
    best = np.full((n_queries, width), -1, np.int32)
    score = np.full((n_queries, width), -np.inf, np.float32)
    beam = np.full((n_queries, width), -1, np.int32)
    for q in prange(n_queries):
        n = 0
        for b in range(n_beams):
            if node[q, b] < 0:
                continue
            for child in range(first[node[q, b]], first[node[q, b] + 1]):
                value = likelihood[q, b] + next_likelihood[q, b, code[child]]
                n = insert_top(best[q], score[q], n, child, np.float32(value))
        for k in range(n):
            for b in range(n_beams):
                parent = node[q, b]
                if parent >= 0 and first[parent] <= best[q, k] < first[parent + 1]:
                    beam[q, k] = b
    return best, score, beam
