# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""List the newest items at the time of every query."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top


@njit(parallel=True, cache=True)
def new_item_lists(
    offsets, item, query_ts, first, end, order, created, seconds, same, near, max_distance, top
):
    """List the newest items at the time of sessions first : end: item, score (queries, top).

    order, created: items and their times in seconds, by time. seconds: the highest age. same, near:
    float64 of each item, NaN where unknown, or empty for no such condition. The score is 1 / (1 +
    age in hours).
    """
    listed = np.full((end - first, top), -1, np.int32)
    score = np.zeros((end - first, top), np.float32)
    for q in prange(end - first):
        history = item[offsets[first + q] : offsets[first + q + 1]]
        now = query_ts[q]
        n_known, total = 0, 0.0
        for x in history if near.size else history[:0]:
            if not np.isnan(near[x]):
                n_known, total = n_known + 1, total + near[x]
        n = 0
        for i in range(np.searchsorted(created, now, side="right") - 1, -1, -1):
            y, age = order[i], now - created[i]
            if age > seconds or (n == top and 1.0 / (1.0 + age / 3600.0) < score[q, top - 1]):
                break
            if near.size and not (n_known and abs(near[y] - total / n_known) <= max_distance):
                continue
            if same.size and not _has_value(same, history, y):
                continue
            n = insert_top(listed[q], score[q], n, y, np.float32(1.0 / (1.0 + age / 3600.0)))
    return listed, score


@njit(inline="always")
def _has_value(value, history, y):
    """Whether an item of the history has the same value as item y."""
    for x in history:  # noqa: SIM110 - numba lacks any()
        if value[x] == value[y]:
            return True
    return False
