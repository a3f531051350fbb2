# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Sort and index the events of a split for several steps.

offsets: CSR of the events by session. item, ts, type_: columns of the events.
"""

from __future__ import annotations

import numpy as np
from numba import njit

VISIT_GAP = 2 * 3600  # seconds between two events of a session that split it into visits
BEGIN, SIZE, LAST = range(3)  # columns of the postings of `latest_sessions`


@njit(cache=True)
def by_time(ts, item, type_, since):
    """Sort the events from second `since` on by time: ts int32, item int32, type int8.

    A stable counting sort, with a counter for each second.
    """
    last = since
    for i in range(ts.size):
        last = max(last, ts[i])
    cursor = np.zeros(last - since + 2, np.int64)  # where the next event of each second goes
    for i in range(ts.size):
        if ts[i] >= since:
            cursor[ts[i] - since + 1] += 1
    for t in range(cursor.size - 1):
        cursor[t + 1] += cursor[t]
    n = cursor[-1]
    out = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int8)
    for i in range(ts.size):
        if ts[i] >= since:
            k = cursor[ts[i] - since]
            cursor[ts[i] - since] += 1
            out[0][k], out[1][k], out[2][k] = ts[i], item[i], type_[i]
    return out


@njit(cache=True)
def times_by_item(item, ts, value, n_items, n_values):
    """Sort the event times of every (item, value): CSR offsets int64, times int32, ascending.

    value: a number from 0 to n_values - 1 per event. The times of an item and a value are row
    item * n_values + value of the CSR.
    """
    offsets = np.zeros(n_items * n_values + 1, np.int64)
    for i in range(item.size):
        offsets[np.int64(item[i]) * n_values + value[i] + 1] += 1
    for k in range(offsets.size - 1):
        offsets[k + 1] += offsets[k]
    cursor = offsets[:-1].copy()
    times = np.empty(item.size, np.int32)
    for i in range(item.size):
        k = np.int64(item[i]) * n_values + value[i]
        times[cursor[k]] = ts[i]
        cursor[k] += 1
    for k in range(offsets.size - 1):
        times[offsets[k] : offsets[k + 1]].sort()
    return offsets, times


@njit(cache=True)
def session_stats(offsets, ts):
    """Return second of the last event, and number of events, of each session: int32 (sessions, 2).

    Both are 0 for an empty session.
    """
    out = np.zeros((offsets.size - 1, 2), np.int32)
    for s in range(offsets.size - 1):
        out[s, 1] = offsets[s + 1] - offsets[s]
        if out[s, 1] > 0:
            out[s, 0] = ts[offsets[s + 1] - 1]
    return out


@njit(cache=True)
def second_items(offsets, item):
    """Find each session's first event with another item than its first event: int64, -1 for none.

    A session of one item says nothing about other items.
    """
    out = np.full(offsets.size - 1, -1, np.int64)
    for s in range(offsets.size - 1):
        for i in range(offsets[s] + 1, offsets[s + 1]):
            if item[i] != item[offsets[s]]:
                out[s] = i
                break
    return out


@njit(cache=True)
def latest_sessions(offsets, item, stats, second_item, n_items, sample_size):
    """List the `sample_size` latest sessions of each item, those that end last first.

    stats, second_item: results of `session_stats` and `second_items`; sessions of one item are left
    out. Returns CSR offsets by item (int64), postings (int32: columns BEGIN, the session's first
    event; SIZE, its number of events; LAST, the second of its last event), and the number of all
    sessions of each item. Ties go by session.
    """
    order = np.argsort(-stats[:, 0].astype(np.int64), kind="mergesort")
    count = np.zeros(n_items, np.int64)
    seen = np.full(n_items, -1, np.int32)  # last session that counted the item
    for s in range(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1] if second_item[s] >= 0 else 0):
            if seen[item[i]] != s:
                seen[item[i]] = s
                count[item[i]] += 1
    left = np.minimum(count, sample_size).astype(np.int32)  # postings still to write
    item_offsets = np.zeros(n_items + 1, np.int64)
    item_offsets[1:] = np.cumsum(left)
    postings = np.empty((item_offsets[-1], 3), np.int32)
    seen[:] = -1
    for s in order:
        for i in range(offsets[s], offsets[s + 1] if second_item[s] >= 0 else 0):
            a = item[i]
            if left[a] > 0 and seen[a] != s:
                seen[a] = s
                p = item_offsets[a + 1] - left[a]
                postings[p, BEGIN] = offsets[s]
                postings[p, SIZE] = stats[s, 1]
                postings[p, LAST] = stats[s, 0]
                left[a] -= 1
    return item_offsets, postings, count


@njit(cache=True)
def sessions_by_second(offsets, item, ts, stats, second_item, order, n_items):
    """List all sessions of each item, by the second from which they have it and another item.

    stats, second_item: as for `latest_sessions`. order: the events by time; ties of a second keep
    it. Returns CSR offsets by item (int64), postings as `latest_sessions`, and the seconds (int32).
    """
    session = np.full(item.size, -1, np.int32)  # of a session's first event on an item, else -1
    seen = np.full(n_items, -1, np.int32)
    item_offsets = np.zeros(n_items + 1, np.int64)
    for s in range(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1] if second_item[s] >= 0 else 0):
            if seen[item[i]] != s:
                session[i] = seen[item[i]] = s
                item_offsets[item[i] + 1] += 1
    item_offsets = np.cumsum(item_offsets)
    cursor = item_offsets[:-1].copy()
    n = item_offsets[-1]
    postings, second = np.empty((n, 3), np.int32), np.empty(n, np.int32)
    for i in order:
        s = session[i]
        if s < 0 or i == offsets[s]:
            continue
        for event in (offsets[s], i):  # the first item waits for the second
            if event == i or i == second_item[s]:
                p = cursor[item[event]]
                cursor[item[event]] += 1
                postings[p, BEGIN], postings[p, SIZE] = offsets[s], stats[s, 1]
                postings[p, LAST], second[p] = stats[s, 0], ts[i]
    return item_offsets, postings, second
