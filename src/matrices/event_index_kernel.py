# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Filter the events of sessions by type, and index them by item."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

ITEM, TS, CODE = range(3)  # columns of the events
TYPE = 127  # the bits of CODE that hold the event's type; above them is the place of its item
POSITION, SESSION = range(2)  # columns of the postings


@njit(parallel=True, cache=True)
def count_kept(offsets, type_, wanted):
    """Count the events of each session whose type is wanted."""
    kept = np.zeros(offsets.size - 1, np.int64)
    for s in prange(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1]):
            kept[s] += wanted[type_[i]]
    return kept


@njit(parallel=True, cache=True)
def pack(old, new, item, ts, type_, wanted, places, events):
    """The kept events of each session; places (threads, items, 2): session + 1, and place there."""
    n_sessions, n_threads = old.size - 1, places.shape[0]
    for t in prange(n_threads):
        for s in range(n_sessions * t // n_threads, n_sessions * (t + 1) // n_threads):
            to, known = new[s], 0
            for i in range(old[s], old[s + 1]):
                if wanted[type_[i]]:
                    x = item[i]
                    if places[t, x, 0] != s + 1:
                        places[t, x, 0] = s + 1
                        places[t, x, 1] = known
                        known += 1
                    events[to, ITEM] = x
                    events[to, TS] = ts[i]
                    events[to, CODE] = places[t, x, 1] << 7 | type_[i]
                    to += 1


@njit(cache=True)
def invert(offsets, events, n_items, postings):
    """Fill the postings of each item; returns where those of each item begin."""
    item_offsets = np.zeros(n_items + 1, np.int64)
    for i in range(events.shape[0]):
        item_offsets[events[i, ITEM] + 1] += 1
    for x in range(n_items):
        item_offsets[x + 1] += item_offsets[x]
    at = item_offsets[:-1].copy()
    for s in range(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1]):
            x = events[i, ITEM]
            postings[at[x], POSITION] = i
            postings[at[x], SESSION] = s
            at[x] += 1
    return item_offsets
