# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Search the times of a keyed log, and sum its rows with exponential decay."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.features.item_times_kernel import first_at


@njit(parallel=True, cache=True)
def first_from(offsets, ts, group, time):
    """Return the first row of each query's group with ts >= time: int64 (queries).

    It is the end of the group where all rows are earlier, and row 0 for group -1. offsets: CSR of
    the groups. ts: ascending in each group. group, time: int64 (queries).
    """
    rows = np.zeros(group.size, np.int64)
    for q in prange(group.size):
        if group[q] >= 0:
            rows[q] = first_at(ts, offsets[group[q]], offsets[group[q] + 1], time[q])
    return rows


@njit(parallel=True, cache=True)
def decayed_sums(offsets, ts, half_life):
    """Count, after each row, the rows of its group so far, each halved every half_life seconds.

    Returns float32 (rows). Rows of one time are whole numbers apart, so their order changes only
    sums between them.
    """
    sums = np.zeros(ts.size, np.float32)
    for g in prange(offsets.size - 1):
        total = 0.0
        for row in range(offsets[g], offsets[g + 1]):
            if row > offsets[g]:
                total *= 2.0 ** (-(ts[row] - ts[row - 1]) / half_life)
            total += 1.0
            sums[row] = total
    return sums
