# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Where each true item stands in the lists, in the pool and in lists without a model."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.candidates.pool_kernel import ABSENT


@njit(parallel=True, cache=True)
def ranks_in_lists(query, truth, offsets, rule, rank, item, n_rules):
    """Rank of each truth in every rule's list, uint8 (truths, rules), ABSENT where it is not.

    query: row of each truth in `offsets`, the CSR of list rows by query.
    """
    out = np.full((truth.size, n_rules), ABSENT, np.uint8)
    for t in prange(truth.size):
        for i in range(offsets[query[t]], offsets[query[t] + 1]):
            if item[i] == truth[t]:
                out[t, rule[i]] = rank[i]
    return out


@njit(parallel=True, cache=True)
def places(query, truth, offsets, item):
    """Place of each truth among the items of its query, int32, -1 where it is not."""
    out = np.full(truth.size, -1, np.int32)
    for t in prange(truth.size):
        first = offsets[query[t]]
        for i in range(first, offsets[query[t] + 1]):
            if item[i] == truth[t]:
                out[t] = i - first
                break
    return out


@njit(parallel=True, cache=True)
def concatenated(offsets, rule, item, wanted, k):
    """The first k different items of some rules' lists one after the other; (queries, k), -1."""
    n_queries = offsets.size - 1
    out = np.full((n_queries, k), -1, np.int32)
    for q in prange(n_queries):
        n = 0
        for r in wanted:
            for i in range(offsets[q], offsets[q + 1]):
                if n < k and rule[i] == r:
                    known = False
                    for m in range(n):
                        known |= out[q, m] == item[i]
                    if not known:
                        out[q, n] = item[i]
                        n += 1
    return out
