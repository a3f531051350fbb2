"""Merge the lists of all rules into one pool of candidates per query."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.rules_kernel import insert_top

ABSENT = 255  # rank of a candidate that a rule did not name
RRF = 10.0  # reciprocal rank fusion: a rule's vote for its rank r is 1 / (RRF + r)


@njit(parallel=True, cache=True)
def fuse(offsets, rank, aid, size):
    """The best `size` items of each query by fused votes: (aid, vote), both (queries, size).

    offsets: CSR of the list rows by query. Reciprocal rank fusion: Cormack, Clarke and Buettcher,
    SIGIR 2009.
    """
    n_queries = offsets.size - 1
    best = np.full((n_queries, size), -1, np.int32)
    vote = np.zeros((n_queries, size), np.float32)
    for q in prange(n_queries):
        rows = np.argsort(aid[offsets[q] : offsets[q + 1]], kind="mergesort") + offsets[q]
        n, i, row, row_vote = 0, 0, best[q], vote[q]
        while i < rows.size:
            y = aid[rows[i]]
            total = 0.0
            while i < rows.size and aid[rows[i]] == y:
                total += 1.0 / (RRF + rank[rows[i]])
                i += 1
            n = insert_top(row, row_vote, n, y, np.float32(total))
    return best, vote


@njit(parallel=True, cache=True)
def spread(offsets, rule, rank, aid, score, starts, pool, ranks, scores):
    """Write each rule's rank and score beside the pool's candidates.

    starts: CSR of the pool by query; ranks (rows, rules) filled with ABSENT and scores filled with
    0 before.
    """
    for q in prange(offsets.size - 1):
        first, end = starts[q], starts[q + 1]
        order = np.argsort(pool[first:end], kind="mergesort")
        known = pool[first:end][order]
        for i in range(offsets[q], offsets[q + 1]):
            at = np.searchsorted(known, aid[i])
            if at < known.size and known[at] == aid[i]:
                ranks[first + order[at], rule[i]] = rank[i]
                scores[first + order[at], rule[i]] = score[i]
