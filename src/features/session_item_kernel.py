# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of SessionItemFeature."""

from __future__ import annotations

from enum import CONTINUOUS, UNIQUE, IntEnum, verify

from numba import njit, prange

from src.features.weightings_kernel import N_WEIGHTINGS


@verify(UNIQUE, CONTINUOUS)
class SessionItemColumn(IntEnum):
    """Columns of the session's events on the candidate; columns by type stand after them."""

    COUNT = 0
    BACK = 1  # events of the session after the last one on the candidate
    SECONDS = 2  # from the last event on the candidate to the query
    LAST_TYPE = 3  # type of the last event on the candidate
    FIRST_SECONDS = 4  # from the first event on the candidate to the query


N_SESSION_ITEM = len(SessionItemColumn)


@njit(parallel=True, cache=True)
def session_item_columns(events, candidates, query_ts, history, n_types, column, X):
    """Write SessionItemColumn, then by type the events, by type the seconds since, the weights."""
    by_type = column + N_SESSION_ITEM
    since = by_type + n_types
    by_weighting = since + n_types
    for q in prange(query_ts.size):
        begin = events.offsets[candidates.first + q]
        stop = events.offsets[candidates.first + q + 1]
        for r in range(candidates.offsets[q], candidates.offsets[q + 1]):
            for c in range(N_SESSION_ITEM):
                X[r, column + c] = -1
            X[r, column + SessionItemColumn.COUNT] = 0
            for t in range(n_types):
                X[r, since + t] = -1
            for i in range(begin, stop):
                if events.item[i] == candidates.item[r]:
                    seconds, t = query_ts[q] - events.ts[i], events.type[i]
                    if X[r, column + SessionItemColumn.COUNT] == 0:
                        X[r, column + SessionItemColumn.FIRST_SECONDS] = seconds
                    X[r, column + SessionItemColumn.COUNT] += 1
                    X[r, column + SessionItemColumn.BACK] = stop - 1 - i
                    X[r, column + SessionItemColumn.SECONDS] = seconds
                    X[r, column + SessionItemColumn.LAST_TYPE] = t
                    X[r, by_type + t] += 1
                    X[r, since + t] = seconds
            if X[r, column + SessionItemColumn.COUNT] == 0:
                continue
            for u in range(history.offsets[q], history.offsets[q + 1]):
                if history.item[u] == candidates.item[r]:
                    for w in range(N_WEIGHTINGS):
                        X[r, by_weighting + w] = history.total[u, w]
