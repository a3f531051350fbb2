# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Count events on candidates in time windows around the query."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.features.item_times_kernel import first_at


@njit(parallel=True, cache=True)
def popularity_columns(candidates, query_ts, kind, times, windows, lookahead_s, column, X):
    """Count events of each query's kind on the candidate in [now - window, now + lookahead_s).

    windows: ascending; behind their columns stands the share of each in the next one. A kind beyond
    times.n_kinds never occurs: its columns keep the zeros of X.
    """
    n = windows.size
    for q in prange(query_ts.size):
        if kind[q] >= times.n_kinds:
            continue
        now = np.int64(query_ts[q])
        for r in range(candidates.offsets[q], candidates.offsets[q + 1]):
            k = np.int64(candidates.item[r]) * times.n_kinds + kind[q]
            low = times.offsets[k]
            stop = first_at(times.ts, low, times.offsets[k + 1], now + lookahead_s)
            begin = stop
            for w in range(n):
                begin = first_at(times.ts, low, begin, now - windows[w])
                X[r, column + w] = stop - begin
            for w in range(n - 1):
                share = X[r, column + w] / max(X[r, column + w + 1], np.float32(1.0))
                X[r, column + n + w] = share
