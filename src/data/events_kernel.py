# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Walk over the events of a split: orders and indexes that several steps need."""

from __future__ import annotations

import numpy as np
from numba import njit

VISIT_GAP = 2 * 3600  # seconds without an event that end a visit
BEGIN, SIZE, LAST = range(3)  # columns of the postings of `latest_sessions`


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
def times_by_item(item, ts, value, n_items, n_values):
    """Ascending event times of every (item, value) as CSR: list number item * n_values + value."""
    offsets = np.zeros(n_items * n_values + 1, np.int64)
    for i in range(item.size):
        offsets[np.int64(item[i]) * n_values + value[i] + 1] += 1
    for k in range(offsets.size - 1):
        offsets[k + 1] += offsets[k]
    at = offsets[:-1].copy()
    times = np.empty(item.size, np.int32)
    for i in range(item.size):
        k = np.int64(item[i]) * n_values + value[i]
        times[at[k]] = ts[i]
        at[k] += 1
    for k in range(offsets.size - 1):
        times[offsets[k] : offsets[k + 1]].sort()
    return offsets, times


@njit(cache=True)
def session_stats(offsets, ts):
    """Second of the last event, and number of events, of every session: int32 (sessions, 2)."""
    out = np.zeros((offsets.size - 1, 2), np.int32)
    for s in range(offsets.size - 1):
        out[s, 1] = offsets[s + 1] - offsets[s]
        if out[s, 1] > 0:
            out[s, 0] = ts[offsets[s + 1] - 1]
    return out


@njit(cache=True)
def latest_sessions(offsets, item, stats, n_items, sample_size):
    """Up to `sample_size` sessions of each item, the last to end first; how many there are in all.

    stats: of `session_stats`. Returns CSR (offsets int64, postings int32: first event of the
    session, number of its events, second of the last one), and the count of sessions per item.
    """
    order = np.argsort(-stats[:, 0].astype(np.int64), kind="mergesort")
    count = np.zeros(n_items, np.int64)
    seen = np.full(n_items, -1, np.int32)
    for s in range(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1]):
            if seen[item[i]] != s:
                seen[item[i]] = s
                count[item[i]] += 1
    left = np.minimum(count, sample_size).astype(np.int32)
    item_offsets = np.zeros(n_items + 1, np.int64)
    item_offsets[1:] = np.cumsum(left)
    postings = np.empty((item_offsets[-1], 3), np.int32)
    seen[:] = -1
    for s in order:
        for i in range(offsets[s], offsets[s + 1]):
            a = item[i]
            if left[a] > 0 and seen[a] != s:
                seen[a] = s
                p = item_offsets[a + 1] - left[a]
                postings[p, BEGIN] = offsets[s]
                postings[p, SIZE] = stats[s, 1]
                postings[p, LAST] = stats[s, 0]
                left[a] -= 1
    return item_offsets, postings, count
