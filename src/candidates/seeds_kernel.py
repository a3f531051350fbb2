# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Select the weighted seed items of every query."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import njit, prange

from src.data.events_kernel import VISIT_GAP
from src.data.units import DAY


class Scope(IntEnum):
    """Events of a history that count; a recipe has the names in lower case."""

    ALL = 0
    VISIT = 1
    VISIT_ENDS = 2
    DAY = 3


VISIT, VISIT_ENDS, LAST_DAY = int(Scope.VISIT), int(Scope.VISIT_ENDS), int(Scope.DAY)


@njit(parallel=True, cache=True)
def select_items(offsets, item, ts, type_, first, end, scope, max_items, decay, type_weight):
    """Select the seeds of sessions first : end as CSR: offsets, item, weight, latest first.

    offsets, item, ts, type_: events by session as CSR.
    """
    event_offsets = offsets[first : end + 1] - offsets[first]  # a query has at most as many seeds
    items = np.empty(event_offsets[-1], np.int32)
    weight = np.empty(event_offsets[-1], np.float64)
    size = np.zeros(end - first, np.int64)
    for q in prange(end - first):
        begin, stop = offsets[first + q], offsets[first + q + 1]
        out = items[event_offsets[q] : event_offsets[q + 1]]
        out_weight = weight[event_offsets[q] : event_offsets[q + 1]]
        n_later = 0
        n = 0
        for i in range(stop - 1, begin - 1, -1):
            if not _in_scope(ts, i, stop, scope):
                if scope in (VISIT, LAST_DAY):
                    break
                continue
            w = decay**n_later * type_weight[type_[i]]
            n_later += 1
            if w == 0.0:
                continue
            u = 0
            while u < n and out[u] != item[i]:
                u += 1
            if u == n:
                if n == max_items:
                    continue
                out[n] = item[i]
                out_weight[n] = 0.0
                n += 1
            out_weight[u] += w
        size[q] = n
    return _pack(event_offsets, size, items, weight)


@njit(inline="always")
def _in_scope(ts, i, stop, scope):
    """Whether event i counts; VISIT assumes that all later events do. stop: end of the session."""
    if scope == VISIT:
        return i == stop - 1 or ts[i + 1] - ts[i] <= VISIT_GAP
    if scope == VISIT_ENDS:
        return i == stop - 1 or ts[i + 1] - ts[i] > VISIT_GAP
    if scope == LAST_DAY:
        return ts[stop - 1] - ts[i] < DAY
    return True


@njit(cache=True)
def _pack(event_offsets, size, items, weight):
    """Remove the unused space after the seeds of each query."""
    offsets = np.zeros(size.size + 1, np.int64)
    offsets[1:] = np.cumsum(size)
    packed = np.empty(offsets[-1], np.int32)
    packed_weight = np.empty(offsets[-1], np.float64)
    for q in range(size.size):
        first, end = event_offsets[q], event_offsets[q] + size[q]
        packed[offsets[q] : offsets[q + 1]] = items[first:end]
        packed_weight[offsets[q] : offsets[q + 1]] = weight[first:end]
    return offsets, packed, packed_weight
