# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Find the rank of each positive in the lists, in the pool and in baselines."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.candidates.pool_kernel import ABSENT


@njit(parallel=True, cache=True)
def ranks_in_lists(query, positive, offsets, retriever, rank, item, n_retrievers):
    """Rank of each positive in each list, uint8 (positives, retrievers), ABSENT where it is not.

    query: number of the query of each positive in `offsets`, the CSR of list rows by query.
    """
    out = np.full((positive.size, n_retrievers), ABSENT, np.uint8)
    for t in prange(positive.size):
        for i in range(offsets[query[t]], offsets[query[t] + 1]):
            if item[i] == positive[t]:
                out[t, retriever[i]] = rank[i]
    return out


@njit(parallel=True, cache=True)
def ranks_in_pool(query, positive, offsets, item):
    """Rank of each positive among the items of its query, int32, -1 where it is not."""
    out = np.full(positive.size, -1, np.int32)
    for t in prange(positive.size):
        first = offsets[query[t]]
        for i in range(first, offsets[query[t] + 1]):
            if item[i] == positive[t]:
                out[t] = i - first
                break
    return out


@njit(parallel=True, cache=True)
def concatenated(offsets, retriever, item, wanted, k):
    """The first k different items of some lists, one after the other: (queries, k), -1 behind."""
    n_queries = offsets.size - 1
    out = np.full((n_queries, k), -1, np.int32)
    for q in prange(n_queries):
        n = 0
        for r in wanted:
            for i in range(offsets[q], offsets[q + 1]):
                if n < k and retriever[i] == r:
                    known = False
                    for m in range(n):
                        known |= out[q, m] == item[i]
                    if not known:
                        out[q, n] = item[i]
                        n += 1
    return out
