# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Merge the lists of all retrievers by reciprocal rank fusion (RRF)."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.candidates.base import MAX_LENGTH
from src.core.hash_kernel import FREE, NUMBER, clear_table, find_slot, table_bits
from src.core.topk_kernel import insert_top

ABSENT = MAX_LENGTH  # rank of a candidate that a retriever did not list

RRF_K = 10.0
"""An item at rank r (from 0) of a list adds 1 / (RRF_K + r) to its RRF score.

Cormack, Clarke and Buettcher (SIGIR 2009) take 60 for lists of a thousand documents. Lists here
have 20 to 100 items, and the first few matter most.
"""


@njit(parallel=True, cache=True)
def rrf(offsets, rank, item, size):
    """Find the `size` best items of each query by RRF score: item, score (queries, size).

    offsets, rank, item: candidates of all lists by query as CSR.
    """
    n_queries = offsets.size - 1
    best = np.full((n_queries, size), -1, np.int32)
    score = np.zeros((n_queries, size), np.float32)
    for q in prange(n_queries):
        n_listed = offsets[q + 1] - offsets[q]
        slots = np.empty(1 << table_bits(n_listed), np.int64)
        bits = clear_table(slots, n_listed)
        candidate, total = np.empty(n_listed, np.int32), np.empty(n_listed, np.float64)
        n_candidates = 0
        for i in range(offsets[q], offsets[q + 1]):
            k = find_slot(slots, bits, item[i])
            if slots[k] == FREE:
                slots[k] = np.int64(item[i]) << 32 | n_candidates
                candidate[n_candidates], total[n_candidates] = item[i], 0.0
                n_candidates += 1
            total[slots[k] & NUMBER] += 1.0 / (RRF_K + rank[i])
        n, row, row_score = 0, best[q], score[q]
        for c in range(n_candidates):
            n = insert_top(row, row_score, n, candidate[c], np.float32(total[c]))
    return best, score


@njit(parallel=True, cache=True)
def attach_ranks(offsets, retriever, rank, item, score, pool_offsets, pool, ranks, scores):
    """Write the rank and score of each retriever into the rows of the pool's candidates.

    offsets, retriever, rank, item, score: CandidateLists. pool_offsets, pool: items of the pool by
    query as CSR. ranks, scores (candidates, retrievers): filled with ABSENT and 0.
    """
    for q in prange(offsets.size - 1):
        first, end = pool_offsets[q], pool_offsets[q + 1]
        order = np.argsort(pool[first:end], kind="mergesort")
        sorted_pool = pool[first:end][order]
        for i in range(offsets[q], offsets[q + 1]):
            k = np.searchsorted(sorted_pool, item[i])
            if k < sorted_pool.size and sorted_pool[k] == item[i]:
                ranks[first + order[k], retriever[i]] = rank[i]
                scores[first + order[k], retriever[i]] = score[i]
