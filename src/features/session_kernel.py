# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The loops behind the features that look at one session and at the candidate: nothing else.

A query's session is first + q, its rows of X are starts[q] : starts[q + 1].
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.data.events_kernel import VISIT_GAP
from src.features.features_kernel import N_WEIGHTINGS

VALUE, AGE, LAST_VALUE, LAST_AGE, MINUS_LAST, MINUS_MEAN, SAME_LAST, SHARE = range(8)  # RELATIONS
UNKNOWN = -1e9  # not NaN, which would make XGBoost's histograms sparse, and slower
N_SHAPE, N_OWN = 12, 5  # features.SESSION_NAMES and OWN_NAMES


@njit(parallel=True, cache=True)
def session_columns(offsets, item, ts, type_, first, starts, n_types, column, X):
    """Shape of the history: SESSION_NAMES of features.py; then per type its events, and the seconds
    since the last one (-1 where there is none).
    """
    for q in prange(starts.size - 1):
        begin, stop = offsets[first + q], offsets[first + q + 1]
        row = np.zeros(N_SHAPE + 2 * n_types, np.float32)
        row[N_SHAPE + n_types :] = -1
        last = ts[stop - 1]
        row[0] = stop - begin
        row[2] = last - ts[begin]
        row[3] = last - ts[stop - 2] if stop - begin > 1 else -1
        row[4] = (last // 3600) % 24
        row[5] = (last // 86400) % 7
        row[6] = 1
        row[7] = type_[stop - 1]
        row[8] = row[2] / max(stop - begin - 1, 1)
        visit = begin
        for i in range(begin, stop):
            new = True
            for j in range(begin, i):
                new &= item[j] != item[i]
            row[1] += 1.0 if new else 0.0
            if i > begin and ts[i] - ts[i - 1] > VISIT_GAP:
                row[6] += 1
                visit = i
            row[N_SHAPE + type_[i]] += 1
            row[N_SHAPE + n_types + type_[i]] = last - ts[i]
        row[9] = 1.0 - row[1] / row[0]
        row[10] = stop - visit
        row[11] = last - ts[visit]
        for r in range(starts[q], starts[q + 1]):
            for c in range(row.size):
                X[r, column + c] = row[c]


@njit(parallel=True, cache=True)
def own_columns(
    offsets, item, ts, type_, first, starts, pool, items, history_item, total, n_types, column, X
):
    """What the session did with the candidate: OWN_NAMES of features.py; then per type its events,
    and the seconds since the last one (-1: none); then its weight under every weighting.
    """
    for q in prange(starts.size - 1):
        begin, stop = offsets[first + q], offsets[first + q + 1]
        by_type = column + N_OWN
        for r in range(starts[q], starts[q + 1]):
            for c in range(1, N_OWN):
                X[r, column + c] = -1
            for t in range(n_types):
                X[r, by_type + n_types + t] = -1
            for i in range(begin, stop):
                if item[i] == pool[r]:
                    ago = ts[stop - 1] - ts[i]
                    if X[r, column] == 0:
                        X[r, column + 4] = ago
                    X[r, column] += 1
                    X[r, column + 1] = stop - 1 - i
                    X[r, column + 2] = ago
                    X[r, column + 3] = type_[i]
                    X[r, by_type + type_[i]] += 1
                    X[r, by_type + n_types + type_[i]] = ago
            if X[r, column] == 0:
                continue
            for u in range(items[q], items[q + 1]):
                if history_item[u] == pool[r]:
                    for k in range(N_WEIGHTINGS):
                        X[r, by_type + 2 * n_types + k] = total[u, k]


@njit(parallel=True, cache=True)
def item_columns(offsets, item, ts, first, starts, pool, known, relations, column, X):
    """A number known of each item (float64, NaN: unknown) in some relations to the history.

    relations: numbers of RELATIONS (src/features/rows.py), a column each; UNKNOWN where a number
    that it takes is.
    """
    for q in prange(starts.size - 1):
        begin, stop = offsets[first + q], offsets[first + q + 1]
        last, now = known[item[stop - 1]], float(ts[stop - 1])
        total, n = 0.0, 0
        for i in range(begin, stop):
            if not math.isnan(known[item[i]]):
                total += known[item[i]]
                n += 1
        for r in range(starts[q], starts[q + 1]):
            mine = known[pool[r]]
            for k in range(relations.size):
                value = mine
                if relations[k] == AGE:
                    value = now - mine
                elif relations[k] == LAST_VALUE:
                    value = last
                elif relations[k] == LAST_AGE:
                    value = now - last
                elif relations[k] == MINUS_LAST:
                    value = mine - last
                elif relations[k] == MINUS_MEAN:
                    value = mine - total / n if n else math.nan
                elif relations[k] == SAME_LAST:
                    value = 1.0 if mine == last else 0.0
                elif relations[k] == SHARE:
                    value = 0.0
                    for i in range(begin, stop):
                        value += 1.0 if known[item[i]] == mine else 0.0
                    value /= stop - begin
                X[r, column + k] = UNKNOWN if math.isnan(value) else value
