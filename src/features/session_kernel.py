# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of SessionFeature."""

from __future__ import annotations

from enum import CONTINUOUS, UNIQUE, IntEnum, verify

import numpy as np
from numba import njit, prange

from src.data.events_kernel import VISIT_GAP
from src.data.units import DAY, HOUR


@verify(UNIQUE, CONTINUOUS)
class SessionColumn(IntEnum):
    """Columns of the whole session; the columns of the event types stand after them."""

    EVENTS = 0
    ITEMS = 1  # different items
    SECONDS = 2  # from the first event to the last
    LAST_GAP = 3  # seconds between the last two events
    HOUR = 4  # of the query, UTC
    WEEKDAY = 5  # of the query; 0 is a Thursday, as 1970 began
    VISITS = 6  # a gap of more than VISIT_GAP seconds begins a new one
    LAST_TYPE = 7
    MEAN_GAP = 8  # seconds between neighbouring events
    AGAIN = 9  # share of the events whose item has an earlier event in the session
    VISIT_EVENTS = 10  # events of the last visit
    VISIT_SECONDS = 11  # from the first event of the last visit to the query


N_SESSION = len(SessionColumn)


@njit(parallel=True, cache=True)
def session_columns(events, candidates, query_ts, n_types, column, X):
    """Write SessionColumn, then by type the events, then by type the seconds since the last."""
    for q in prange(query_ts.size):
        begin = events.offsets[candidates.first + q]
        stop = events.offsets[candidates.first + q + 1]
        now, n = query_ts[q], stop - begin
        row = np.zeros(N_SESSION + 2 * n_types, np.float32)
        row[N_SESSION + n_types :] = -1
        row[SessionColumn.HOUR] = (now // HOUR) % 24
        row[SessionColumn.WEEKDAY] = (now // DAY) % 7
        if n == 0:
            row[SessionColumn.SECONDS] = -1
            row[SessionColumn.LAST_GAP] = -1
            row[SessionColumn.LAST_TYPE] = -1
            row[SessionColumn.MEAN_GAP] = -1
            row[SessionColumn.VISIT_SECONDS] = -1
        else:
            row[SessionColumn.EVENTS] = n
            row[SessionColumn.SECONDS] = now - events.ts[begin]
            row[SessionColumn.LAST_GAP] = now - events.ts[stop - 2] if n > 1 else -1
            row[SessionColumn.VISITS] = 1
            row[SessionColumn.LAST_TYPE] = events.type[stop - 1]
            row[SessionColumn.MEAN_GAP] = row[SessionColumn.SECONDS] / max(n - 1, 1)
            visit = begin
            for i in range(begin, stop):
                new = True
                for j in range(begin, i):
                    new &= events.item[j] != events.item[i]
                row[SessionColumn.ITEMS] += 1.0 if new else 0.0
                if i > begin and events.ts[i] - events.ts[i - 1] > VISIT_GAP:
                    row[SessionColumn.VISITS] += 1
                    visit = i
                row[N_SESSION + events.type[i]] += 1
                row[N_SESSION + n_types + events.type[i]] = now - events.ts[i]
            row[SessionColumn.AGAIN] = 1.0 - row[SessionColumn.ITEMS] / row[SessionColumn.EVENTS]
            row[SessionColumn.VISIT_EVENTS] = stop - visit
            row[SessionColumn.VISIT_SECONDS] = now - events.ts[visit]
        for r in range(candidates.offsets[q], candidates.offsets[q + 1]):
            for c in range(row.size):
                X[r, column + c] = row[c]
