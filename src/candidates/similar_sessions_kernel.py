# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Select sessions that share an item with a query: the nearest in time, then the most similar.

met: int32 (n, 3), columns BEGIN, SIZE and LAST of the sessions. similarity: float64 of each.
value: similarity in float32, by which sessions are selected; of equal ones, the later session.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from src.core.hash_kernel import prefetch
from src.data.events_kernel import BEGIN, LAST, SIZE

BINS = 256  # of a histogram of values
BIN_SHIFT = np.uint32(17)  # a bin is 2^17 float32 values: 1/64 of an octave
CACHE_LINE = 16  # items


@njit(forceinline=True)
def nearest_in_time(entries, low, high, now, size):
    """Find the first of the `size` entries low : high whose sessions end nearest to second `now`.

    The entries are sorted, the latest first. Of two sessions equally near, the later one counts.
    """
    high = max(low, high - size)
    while low < high:
        middle = (low + high) >> 1
        if entries[middle, LAST] - now > now - entries[middle + size, LAST]:
            low = middle + 1
        else:
            high = middle
    return low


@njit(forceinline=True, error_model="numpy")
def compare(met, similarity, value, n_met, size, last, recency_days):
    """Turn sums of shared weights into similarities: divide by sizes, and decay by age.

    n_met: number of sessions. size, last: number of events and last second of the query.
    """
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
    """Return a key that sorts by value, then by session. bits: of the values."""
    return np.uint64(bits[m]) << np.uint64(32) | np.uint64(met[m, BEGIN])


@njit(forceinline=True)
def nth_largest(value, met, n_met, n, bins, keys):
    """Find the n-th largest key. A histogram of the values selects the few keys to sort."""
    bits = value.view(np.uint32)  # non-negative floats sort like their bits
    largest = np.uint32(0)
    for m in range(n_met):
        largest = max(largest, bits[m])
    bins[:] = 0
    for m in range(n_met):
        bins[min((largest - bits[m]) >> BIN_SHIFT, np.uint32(BINS - 1))] += 1
    b = n_above = 0  # the bin of the n-th value, and the number of values above it
    while n_above + bins[b] < n:
        n_above += bins[b]
        b += 1
    k = 0
    for m in range(n_met):
        if min((largest - bits[m]) >> BIN_SHIFT, np.uint32(BINS - 1)) == b:
            keys[k] = _key(bits, met, m)
            k += 1
    return np.partition(keys[:k], k - (n - n_above))[k - (n - n_above)]


@njit(forceinline=True)
def keep_nearest(item, met, similarity, value, n_met, least):
    """Keep the sessions with a key of at least `least`; return their number and their events.

    Prefetches their items.
    """
    bits = value.view(np.uint32)
    n_near = n_events = 0
    for m in range(n_met):
        if _key(bits, met, m) >= least:
            begin, size = met[m, BEGIN], met[m, SIZE]
            met[n_near, BEGIN], met[n_near, SIZE], similarity[n_near] = begin, size, similarity[m]
            n_near += 1
            n_events += size
            for i in range(begin, begin + size, CACHE_LINE):
                prefetch(item, i)  # type: ignore[call-arg]
    return n_near, n_events
