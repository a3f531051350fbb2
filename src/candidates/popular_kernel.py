# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Count items in sliding time windows."""

from __future__ import annotations

import numpy as np
from numba import njit

from src.core.topk_kernel import insert_top


@njit(cache=True)
def popular_lists(ts, item, type_, votes, ends, window, n_items, top):
    """List the heaviest items of each window [end - window, end): item, score (windows, top).

    ts, item, type_: events by time. votes: int64 weight of an event by its type. ends: ascending.
    """
    listed = np.full((ends.size, top), -1, np.int32)
    score = np.zeros((ends.size, top), np.float32)
    count = np.zeros(n_items, np.int64)
    end = 0  # events first : end are in the window
    first = 0
    for w in range(ends.size):
        while end < ts.size and ts[end] < ends[w]:
            count[item[end]] += votes[type_[end]]
            end += 1
        while first < end and ts[first] < ends[w] - window:
            count[item[first]] -= votes[type_[first]]
            first += 1
        n, row, row_score = 0, listed[w], score[w]
        for y in range(n_items):
            if count[y] > 0:
                n = insert_top(row, row_score, n, y, np.float32(count[y]))
    return listed, score
