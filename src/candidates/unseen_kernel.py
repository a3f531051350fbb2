# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Leave out of every list the items of the query's history."""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True)
def without_seen(offsets, item, n_items, first, listed, listed_score, top, n_threads):
    """Return the first `top` listed items without an event in the query: item, score.

    offsets, item: events by session as CSR. listed, listed_score: (queries, wide), of the sessions
    from `first` on.
    """
    n_queries, wide = listed.shape
    kept = np.full((n_queries, top), -1, np.int32)
    score = np.zeros((n_queries, top), np.float32)
    for t in prange(n_threads):
        seen_by = np.full(n_items, -1, np.int32)  # the query that had the item last
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            for i in range(offsets[first + q], offsets[first + q + 1]):
                seen_by[item[i]] = q
            n = 0
            for rank in range(wide):
                y = listed[q, rank]
                if y < 0 or n == top:
                    break
                if seen_by[y] != q:
                    kept[q, n], score[q, n] = y, listed_score[q, rank]
                    n += 1
    return kept, score
