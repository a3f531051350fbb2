# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of PopularityFeature and ContextPopularityFeature."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.features.item_times_kernel import first_at


@njit(parallel=True, cache=True)
def popularity_columns(candidates, query_ts, value, times, windows, lookahead_s, column, X):
    """Count the events with the query's value on each candidate, and divide neighbouring counts.

    A window is [now - windows[w], now + lookahead_s); windows ascend. value: int32 (queries). A
    value from times.n_values on never occurs: its columns keep the zeros of X.
    """
    n = windows.size
    for q in prange(query_ts.size):
        if value[q] >= times.n_values:
            continue
        now = np.int64(query_ts[q])
        for r in range(candidates.offsets[q], candidates.offsets[q + 1]):
            k = np.int64(candidates.item[r]) * times.n_values + value[q]
            low = times.offsets[k]
            stop = first_at(times.ts, low, times.offsets[k + 1], now + lookahead_s)
            begin = stop
            for w in range(n):
                begin = first_at(times.ts, low, begin, now - windows[w])
                X[r, column + w] = stop - begin
            for w in range(n - 1):
                share = X[r, column + w] / max(X[r, column + w + 1], np.float32(1.0))
                X[r, column + n + w] = share
