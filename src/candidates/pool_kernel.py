# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fuse the lists of all retrievers into one pool of candidates per query."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top

ABSENT = 255  # rank of a candidate that a retriever did not list

RRF_K = 10.0
"""An item at rank r (from 0) of a list adds 1 / (RRF_K + r) to its RRF score.

Cormack, Clarke and Buettcher (SIGIR 2009) take 60 for lists of a thousand documents. Lists here
have 20 to 100 items, and the first few matter most.
"""


@njit(parallel=True, cache=True)
def rrf(offsets, rank, item, size):
    """The best `size` items of each query by RRF score: item, score, both (queries, size).

    offsets: CSR of the list rows by query. Reciprocal rank fusion: Cormack, Clarke and Buettcher,
    SIGIR 2009.
    """
    n_queries = offsets.size - 1
    best = np.full((n_queries, size), -1, np.int32)
    score = np.zeros((n_queries, size), np.float32)
    for q in prange(n_queries):
        rows = offsets[q + 1] - offsets[q]
        bits = 4
        while 1 << bits < 2 * rows:
            bits += 1
        mask = np.uint64((1 << bits) - 1)
        places = np.full(1 << bits, -1, np.int32)  # hash table of the items
        found_item, total = np.empty(rows, np.int32), np.empty(rows, np.float64)
        found = 0
        for i in range(offsets[q], offsets[q + 1]):
            k = np.uint64(item[i]) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - bits)
            while places[k] >= 0 and found_item[places[k]] != item[i]:
                k = (k + np.uint64(1)) & mask
            if places[k] < 0:
                places[k] = found
                found_item[found], total[found] = item[i], 0.0
                found += 1
            total[places[k]] += 1.0 / (RRF_K + rank[i])
        n, row, row_score = 0, best[q], score[q]
        for p in range(found):
            n = insert_top(row, row_score, n, found_item[p], np.float32(total[p]))
    return best, score


@njit(parallel=True, cache=True)
def attach_ranks(offsets, retriever, rank, item, score, starts, pool, ranks, scores):
    """Write the rank and score of each retriever beside the candidates of the pool.

    starts: CSR of the pool by query. ranks (rows, retrievers) come filled with ABSENT, scores
    with 0.
    """
    for q in prange(offsets.size - 1):
        first, end = starts[q], starts[q + 1]
        order = np.argsort(pool[first:end], kind="mergesort")
        known = pool[first:end][order]
        for i in range(offsets[q], offsets[q + 1]):
            at = np.searchsorted(known, item[i])
            if at < known.size and known[at] == item[i]:
                ranks[first + order[at], retriever[i]] = rank[i]
                scores[first + order[at], retriever[i]] = score[i]
