# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Walks over the events of a split that several steps need."""

from __future__ import annotations

import numpy as np
from numba import njit

VISIT_GAP = 2 * 3600  # seconds without an event that end a visit


@njit(cache=True)
def by_time(ts, item, type_, since):
    """Seconds, items and types of the events from `since` on, by time, in order where equal."""
    last = since
    for i in range(ts.size):
        last = max(last, ts[i])
    at = np.zeros(last - since + 2, np.int64)
    for i in range(ts.size):
        if ts[i] >= since:
            at[ts[i] - since + 1] += 1
    for t in range(at.size - 1):
        at[t + 1] += at[t]
    n = at[-1]
    out = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int8)
    for i in range(ts.size):
        if ts[i] >= since:
            k = at[ts[i] - since]
            at[ts[i] - since] += 1
            out[0][k], out[1][k], out[2][k] = ts[i], item[i], type_[i]
    return out


@njit(cache=True)
def times_by_item(item, ts, kind, n_items, n_kinds):
    """Ascending event times of every (item, kind) as CSR: list number is item * n_kinds + kind."""
    starts = np.zeros(n_items * n_kinds + 1, np.int64)
    for i in range(item.size):
        starts[np.int64(item[i]) * n_kinds + kind[i] + 1] += 1
    for k in range(starts.size - 1):
        starts[k + 1] += starts[k]
    at = starts[:-1].copy()
    times = np.empty(item.size, np.int32)
    for i in range(item.size):
        k = np.int64(item[i]) * n_kinds + kind[i]
        times[at[k]] = ts[i]
        at[k] += 1
    for k in range(starts.size - 1):
        times[starts[k] : starts[k + 1]].sort()
    return starts, times


BEGIN, SIZE, LAST = range(3)  # columns of `holders`


@njit(cache=True)
def shapes(offsets, ts):
    """Second of the last event, and number of events, of every session: int32 (sessions, 2)."""
    out = np.zeros((offsets.size - 1, 2), np.int32)
    for s in range(offsets.size - 1):
        out[s, 1] = offsets[s + 1] - offsets[s]
        if out[s, 1] > 0:
            out[s, 0] = ts[offsets[s + 1] - 1]
    return out


@njit(cache=True)
def latest_sessions(offsets, item, shape, n_items, sample):
    """Up to `sample` sessions of each item, the last to end first, and how many there are in all.

    Returns CSR (starts int64, holders int32: first event of the session, number of its events,
    second of the last one), and the count of all sessions with each item.
    """
    order = np.argsort(-shape[:, 0].astype(np.int64), kind="mergesort")
    count = np.zeros(n_items, np.int64)
    seen = np.full(n_items, -1, np.int32)
    for s in range(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1]):
            if seen[item[i]] != s:
                seen[item[i]] = s
                count[item[i]] += 1
    left = np.minimum(count, sample).astype(np.int32)
    starts = np.zeros(n_items + 1, np.int64)
    starts[1:] = np.cumsum(left)
    holders = np.empty((starts[-1], 3), np.int32)
    seen[:] = -1
    for s in order:
        for i in range(offsets[s], offsets[s + 1]):
            a = item[i]
            if left[a] > 0 and seen[a] != s:
                seen[a] = s
                h = starts[a + 1] - left[a]
                holders[h, BEGIN] = offsets[s]
                holders[h, SIZE] = shape[s, 1]
                holders[h, LAST] = shape[s, 0]
                left[a] -= 1
    return starts, holders, count
