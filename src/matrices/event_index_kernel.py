# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Filter the events of sessions by type, and index them by item."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

ITEM, TS, CODE = range(3)  # columns of the events
TYPE_BITS = 7  # the lowest bits of CODE hold the event's type, the others its local item
TYPE = (1 << TYPE_BITS) - 1  # mask of these bits
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
def pack(offsets, kept_offsets, item, ts, type_, wanted, local_items, events):
    """Copy the events of wanted types into `events`, in their order.

    kept_offsets: CSR of the kept events by session. local_items: int32 (threads, items, 2), zeros,
    for the last session of each item, plus 1, and the item's local number there.
    """
    n_sessions, n_threads = offsets.size - 1, local_items.shape[0]
    for t in prange(n_threads):
        for s in range(n_sessions * t // n_threads, n_sessions * (t + 1) // n_threads):
            k, n_local = kept_offsets[s], 0
            for i in range(offsets[s], offsets[s + 1]):
                if wanted[type_[i]]:
                    x = item[i]
                    if local_items[t, x, 0] != s + 1:
                        local_items[t, x, 0] = s + 1
                        local_items[t, x, 1] = n_local
                        n_local += 1
                    events[k, ITEM] = x
                    events[k, TS] = ts[i]
                    events[k, CODE] = local_items[t, x, 1] << TYPE_BITS | type_[i]
                    k += 1


@njit(cache=True)
def invert(offsets, events, n_items, postings):
    """Fill the postings, sorted by item and event; return their CSR offsets by item: int64."""
    item_offsets = np.zeros(n_items + 1, np.int64)
    for i in range(events.shape[0]):
        item_offsets[events[i, ITEM] + 1] += 1
    for x in range(n_items):
        item_offsets[x + 1] += item_offsets[x]
    cursor = item_offsets[:-1].copy()
    for s in range(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1]):
            x = events[i, ITEM]
            postings[cursor[x], POSITION] = i
            postings[cursor[x], SESSION] = s
            cursor[x] += 1
    return item_offsets
