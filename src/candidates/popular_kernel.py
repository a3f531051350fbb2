# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Count items in sliding time windows."""

from __future__ import annotations

import numpy as np
from numba import njit

from src.core.topk_kernel import insert_top


@njit(cache=True)
def popular_lists(ts, item, type_, votes, ends, window, n_items, top):
    """Heaviest items in [end - window, end) for each of the ascending `ends`: (windows, top).

    ts ascending; votes: int64 weight of an event by its type (0: it does not count).
    """
    rows = np.full((ends.size, top), -1, np.int32)
    score = np.zeros((ends.size, top), np.float32)
    count = np.zeros(n_items, np.int64)
    into = 0
    out = 0
    for e in range(ends.size):
        while into < ts.size and ts[into] < ends[e]:
            count[item[into]] += votes[type_[into]]
            into += 1
        while out < into and ts[out] < ends[e] - window:
            count[item[out]] -= votes[type_[out]]
            out += 1
        n, row, row_score = 0, rows[e], score[e]
        for y in range(n_items):
            if count[y] > 0:
                n = insert_top(row, row_score, n, y, np.float32(count[y]))
    return rows, score
