# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Count the votes of session pairs that have an item in common."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top


@njit(cache=True)
def latest_items(offsets, item, max_items):
    """List the latest max_items different items of each session, ascending, as CSR.

    offsets, item: events by session as CSR.
    """
    item_offsets = np.zeros(offsets.size, np.int64)
    items = np.empty(item.size, np.int32)
    for s in range(offsets.size - 1):
        n, first = 0, item_offsets[s]
        for i in range(offsets[s + 1] - 1, offsets[s] - 1, -1):
            if n == max_items:
                break
            listed = False
            for k in range(first, first + n):
                listed |= items[k] == item[i]
            if not listed:
                items[first + n] = item[i]
                n += 1
        items[first : first + n].sort()
        item_offsets[s + 1] = first + n
    return item_offsets, items[: item_offsets[-1]].copy()


@njit(parallel=True, cache=True)
def count(session_offsets, sessions, item_offsets, items, alpha, low, high, top, n_threads):
    """Count the neighbours of items low : high: number of each, items and weights (n, top).

    session_offsets, sessions: sessions by item as CSR. item_offsets, items: items by session as
    CSR, ascending.
    """
    size = np.zeros(high - low, np.int64)
    near = np.full((high - low, top), -1, np.int32)
    weight = np.zeros((high - low, top), np.float32)
    n_items = session_offsets.size - 1
    for t in prange(n_threads):
        total = np.zeros(n_items, np.float64)
        touched = np.empty(n_items, np.int32)
        shared = np.empty(items.size and np.diff(item_offsets).max(), np.int32)
        for x in range(low + t, high, n_threads):  # interleaved, as close ids cost about the same
            n_touched = 0
            for p in range(session_offsets[x], session_offsets[x + 1]):
                for q in range(p + 1, session_offsets[x + 1]):
                    u, v = sessions[p], sessions[q]
                    n = _shared(items, item_offsets, u, v, shared)
                    length = (item_offsets[u + 1] - item_offsets[u]) * (
                        item_offsets[v + 1] - item_offsets[v]
                    )
                    vote = 1.0 / (math.sqrt(length) * (alpha + n))
                    for k in range(n):
                        y = shared[k]
                        if total[y] == 0.0:
                            touched[n_touched] = y
                            n_touched += 1
                        total[y] += vote
            n = 0
            for k in range(n_touched):
                y = touched[k]
                if y != x:
                    n = insert_top(near[x - low], weight[x - low], n, y, np.float32(total[y]))
                total[y] = 0.0
            size[x - low] = n
    return size, near, weight


@njit(inline="always")
def _shared(items, offsets, u, v, shared):
    """Write the common items of sessions u and v into `shared`; return their number."""
    a, b, n = offsets[u], offsets[v], 0
    while a < offsets[u + 1] and b < offsets[v + 1]:
        if items[a] < items[b]:
            a += 1
        elif items[a] > items[b]:
            b += 1
        else:
            shared[n] = items[a]
            n, a, b = n + 1, a + 1, b + 1
    return n
