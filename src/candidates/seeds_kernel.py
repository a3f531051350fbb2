# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Select the weighted seed items of every query."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import njit, prange

from src.data.events_kernel import VISIT_GAP
from src.data.units import DAY


class Scope(IntEnum):
    """Which events of a history count; their names in lower case are what a recipe says."""

    ALL = 0
    VISIT = 1
    VISIT_ENDS = 2
    DAY = 3


VISIT, VISIT_ENDS, LAST_DAY = int(Scope.VISIT), int(Scope.VISIT_ENDS), int(Scope.DAY)


@njit(parallel=True, cache=True)
def select_items(offsets, item, ts, type_, first, end, scope, max_items, decay, type_weight):
    """Seed items of sessions first : end as CSR (offsets, item, weight), latest first."""
    room = offsets[first : end + 1] - offsets[first]
    items = np.empty(room[-1], np.int32)
    weight = np.empty(room[-1], np.float64)
    size = np.zeros(end - first, np.int64)
    for q in prange(end - first):
        begin, stop = offsets[first + q], offsets[first + q + 1]
        out = items[room[q] : room[q + 1]]
        out_weight = weight[room[q] : room[q + 1]]
        back = 0
        n = 0
        for i in range(stop - 1, begin - 1, -1):
            if not _in_scope(ts, i, stop, scope):
                if scope in (VISIT, LAST_DAY):
                    break
                continue
            w = decay**back * type_weight[type_[i]]
            back += 1
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
    return _pack(room, size, items, weight)


@njit(inline="always")
def _in_scope(ts, i, stop, scope):
    if scope == VISIT:
        return i == stop - 1 or ts[i + 1] - ts[i] <= VISIT_GAP
    if scope == VISIT_ENDS:
        return i == stop - 1 or ts[i + 1] - ts[i] > VISIT_GAP
    if scope == LAST_DAY:
        return ts[stop - 1] - ts[i] < DAY
    return True


@njit(cache=True)
def _pack(room, size, items, weight):
    """Close the gaps behind the seeds of each query."""
    offsets = np.zeros(size.size + 1, np.int64)
    offsets[1:] = np.cumsum(size)
    packed = np.empty(offsets[-1], np.int32)
    packed_weight = np.empty(offsets[-1], np.float64)
    for q in range(size.size):
        packed[offsets[q] : offsets[q + 1]] = items[room[q] : room[q] + size[q]]
        packed_weight[offsets[q] : offsets[q + 1]] = weight[room[q] : room[q] + size[q]]
    return offsets, packed, packed_weight
