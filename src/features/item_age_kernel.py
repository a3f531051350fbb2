# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of ItemAgeFeature."""

from __future__ import annotations

from enum import CONTINUOUS, UNIQUE, IntEnum, verify

import numpy as np
from numba import njit, prange

from src.features.item_times_kernel import first_at


@verify(UNIQUE, CONTINUOUS)
class SeenColumn(IntEnum):
    """The candidate's event from which the seconds to the query are counted."""

    FIRST = 0
    LATEST = 1


N_SEEN = len(SeenColumn)


@njit(parallel=True, cache=True)
def seen_columns(candidates, query_ts, times, column, X):
    """Write the seconds from the candidate's first and latest event to the query; -1 without one.

    times: ItemTimes by event type.
    """
    for q in prange(query_ts.size):
        now = np.int64(query_ts[q])
        for r in range(candidates.offsets[q], candidates.offsets[q + 1]):
            X[r, column : column + N_SEEN] = -1
            lists = np.int64(candidates.item[r]) * times.n_values
            for k in range(lists, lists + times.n_values):
                begin = times.offsets[k]
                stop = first_at(times.ts, begin, times.offsets[k + 1], now)
                if stop > begin:
                    first, latest = column + SeenColumn.FIRST, column + SeenColumn.LATEST
                    X[r, first] = max(X[r, first], now - times.ts[begin])
                    seconds = np.float32(now - times.ts[stop - 1])
                    if X[r, latest] < 0 or seconds < X[r, latest]:
                        X[r, latest] = seconds
