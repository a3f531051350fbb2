# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Find the ranks of positives in lists, in the pool and in baselines."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.candidates.pool_kernel import ABSENT


@njit(parallel=True, cache=True)
def ranks_in_lists(query, positive, offsets, retriever, rank, item, n_retrievers):
    """Find the rank of each positive in each list: uint16 (positives, retrievers), or ABSENT.

    query, positive: query and item of each positive. offsets, retriever, rank, item:
    CandidateLists.
    """
    out = np.full((positive.size, n_retrievers), ABSENT, np.uint16)
    for t in prange(positive.size):
        for i in range(offsets[query[t]], offsets[query[t] + 1]):
            if item[i] == positive[t]:
                out[t, retriever[i]] = rank[i]
    return out


@njit(parallel=True, cache=True)
def ranks_in_pool(query, positive, offsets, item):
    """Find the rank of each positive among the items of its query: int32, or -1.

    offsets, item: items by query as CSR, best first.
    """
    out = np.full(positive.size, -1, np.int32)
    for t in prange(positive.size):
        first = offsets[query[t]]
        for i in range(first, offsets[query[t] + 1]):
            if item[i] == positive[t]:
                out[t] = i - first
                break
    return out


@njit(parallel=True, cache=True)
def concatenated(offsets, retriever, item, retrievers, k):
    """Concatenate the lists of some retrievers: the first k different items, or -1 (queries, k).

    offsets, retriever, item: CandidateLists. retrievers: numbers of the retrievers, in order.
    """
    n_queries = offsets.size - 1
    out = np.full((n_queries, k), -1, np.int32)
    for q in prange(n_queries):
        n = 0
        for r in retrievers:
            for i in range(offsets[q], offsets[q + 1]):
                if n < k and retriever[i] == r:
                    repeated = False
                    for m in range(n):
                        repeated |= out[q, m] == item[i]
                    if not repeated:
                        out[q, n] = item[i]
                        n += 1
    return out
