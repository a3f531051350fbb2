# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Choose the sessions that are most similar to a query, out of all that share an item with it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from src.core.hash_kernel import prefetch
from src.data.events_kernel import BEGIN, LAST, SIZE

BINS = 256
LINE = 16  # items of a cache line


@njit(forceinline=True, error_model="numpy")
def compare(met, similarity, value, n_met, size, last, recency_days):
    """Make the shared weights similarities; `value`: the same in float32, to choose by."""
    for m in range(n_met):
        similarity[m] /= math.sqrt(np.float64(met[m, SIZE]) * size)
    if recency_days > 0.0:
        for m in range(n_met):
            days = abs(np.float64(last) - met[m, LAST]) / 86400.0
            similarity[m] *= math.exp(-days / recency_days)
    for m in range(n_met):
        value[m] = similarity[m]


@njit(forceinline=True)
def _key(bits, met, m):
    """Orders by similarity, then by session, so that the later of two equal ones wins."""
    return np.uint64(bits[m]) << np.uint64(32) | np.uint64(met[m, BEGIN])


@njit(forceinline=True)
def nth_largest(value, met, n_met, n, bins, keys):
    """The n-th largest key: bins of a 1/64 octave say which few have to be sorted."""
    bits = value.view(np.uint32)  # floats that are not negative are in the order of their bits
    most = np.uint32(0)
    for m in range(n_met):
        most = max(most, bits[m])
    bins[:] = 0
    for m in range(n_met):
        bins[min((most - bits[m]) >> np.uint32(17), np.uint32(BINS - 1))] += 1
    b = above = 0
    while above + bins[b] < n:
        above += bins[b]
        b += 1
    k = 0
    for m in range(n_met):
        if min((most - bits[m]) >> np.uint32(17), np.uint32(BINS - 1)) == b:
            keys[k] = _key(bits, met, m)
            k += 1
    return np.partition(keys[:k], k - (n - above))[k - (n - above)]


@njit(forceinline=True)
def keep_nearest(item, met, similarity, value, n_met, least):
    """Close up the sessions from a key on, ask for their items; how many, and their events."""
    bits = value.view(np.uint32)
    n_near = events = 0
    for m in range(n_met):
        if _key(bits, met, m) >= least:
            begin, size = met[m, BEGIN], met[m, SIZE]
            met[n_near, BEGIN], met[n_near, SIZE], similarity[n_near] = begin, size, similarity[m]
            n_near += 1
            events += size
            for i in range(begin, begin + size, LINE):
                prefetch(item, i)  # type: ignore[call-arg]
    return n_near, events
