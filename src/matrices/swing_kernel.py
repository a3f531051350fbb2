# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Count the votes of pairs of sessions that share an item."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top


@njit(cache=True)
def latest_items(offsets, item, most):
    """The latest `most` different items of each session, ascending, as CSR."""
    starts = np.zeros(offsets.size, np.int64)
    items = np.empty(item.size, np.int32)
    for s in range(offsets.size - 1):
        n, first = 0, starts[s]
        for i in range(offsets[s + 1] - 1, offsets[s] - 1, -1):
            if n == most:
                break
            known = False
            for k in range(first, first + n):
                known |= items[k] == item[i]
            if not known:
                items[first + n] = item[i]
                n += 1
        items[first : first + n].sort()
        starts[s + 1] = first + n
    return starts, items[: starts[-1]].copy()


@njit(parallel=True, cache=True)
def count(holder_starts, holders, item_starts, items, alpha, low, high, top, n_threads):
    """Neighbours of the items low : high: how many of each, (high - low, top) items and weights.

    holders: sessions of each item as CSR; items: of each session as CSR, ascending.
    """
    size = np.zeros(high - low, np.int64)
    near = np.full((high - low, top), -1, np.int32)
    weight = np.zeros((high - low, top), np.float32)
    n_items = holder_starts.size - 1
    for t in prange(n_threads):
        total = np.zeros(n_items, np.float64)
        touched = np.empty(n_items, np.int32)
        shared = np.empty(items.size and np.diff(item_starts).max(), np.int32)
        for x in range(low + t, high, n_threads):  # neighbours in number cost alike
            n_touched = 0
            for p in range(holder_starts[x], holder_starts[x + 1]):
                for q in range(p + 1, holder_starts[x + 1]):
                    u, v = holders[p], holders[q]
                    n = _shared(items, item_starts, u, v, shared)
                    length = (item_starts[u + 1] - item_starts[u]) * (
                        item_starts[v + 1] - item_starts[v]
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
def _shared(items, starts, u, v, shared):
    """Put the items of both sessions into `shared`; returns how many there are."""
    a, b, n = starts[u], starts[v], 0
    while a < starts[u + 1] and b < starts[v + 1]:
        if items[a] < items[b]:
            a += 1
        elif items[a] > items[b]:
            b += 1
        else:
            shared[n] = items[a]
            n, a, b = n + 1, a + 1, b + 1
    return n
