"""The loops behind the features: every one fills columns of X (rows of the pool, all features).

Queries are split over threads; a query's rows are filled by one thread in a fixed order. `starts`
is the pool's CSR; `items` is the CSR (offsets, aid) of a query's different history items, with
the sum and the maximum of their events' weights under every weighting, shape (items, weightings).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.rules_kernel import VISIT_GAP

EQUAL, POSITION, TYPE, TIME, LAST = range(5)  # the order of features.WEIGHTINGS
SUM, MEAN, MAX = range(3)  # the order of features.AGGREGATES
N_WEIGHTINGS = 5
VALUE, AGE, LAST_VALUE, LAST_AGE, MINUS_LAST, MINUS_MEAN, SAME_LAST, SHARE = range(8)  # RELATIONS
UNKNOWN = -1e9  # not NaN, which would make XGBoost's histograms sparse, and slower


@njit(inline="always")
def event_weight(kind, back, n, seconds, type_weight):
    """Weight of an event `back` places and `seconds` before the last one of n events."""
    if kind == POSITION:
        return 2.0 ** (0.1 + 0.9 * (n - 1 - back) / (n - 1)) - 1.0 if n > 1 else 1.0
    if kind == TYPE:
        return type_weight
    if kind == TIME:
        return 1.0 / math.log(2.0 + seconds / 60.0)
    if kind == LAST:
        return 1.0 if back == 0 else 0.0
    return 1.0


@njit(parallel=True, cache=True)
def history_items(offsets, aid, ts, type_, first, end, tail, type_weight):
    """Different items of the last `tail` events of sessions first : end, latest first."""
    n_queries = end - first
    size = np.zeros(n_queries + 1, np.int64)
    for q in range(n_queries):
        size[q + 1] = size[q] + min(tail, offsets[first + q + 1] - offsets[first + q])
    item = np.full(size[-1], -1, np.int32)
    total = np.zeros((size[-1], N_WEIGHTINGS), np.float32)
    most = np.zeros((size[-1], N_WEIGHTINGS), np.float32)
    for q in prange(n_queries):
        stop = offsets[first + q + 1]
        n = size[q + 1] - size[q]
        begin = size[q]
        used = 0
        for back in range(n):
            i = stop - 1 - back
            u = begin
            while u < begin + used and item[u] != aid[i]:
                u += 1
            if u == begin + used:
                item[u] = aid[i]
                used += 1
            for k in range(N_WEIGHTINGS):
                w = event_weight(k, back, n, ts[stop - 1] - ts[i], type_weight[type_[i]])
                total[u, k] += w
                most[u, k] = max(most[u, k], w)
    return size, item, total, most


@njit(parallel=True, cache=True)
def matrix_columns(
    starts, pool, items, item, total, most, near_offsets, near, near_weight, columns, X,
    n_threads,
):  # fmt: skip
    """Aggregates of near_weight[history item, candidate].

    columns: int64 rows (weighting, aggregate, column of X).
    """
    n_queries = starts.size - 1
    for t in prange(n_threads):
        slot = np.full(near_offsets.size - 1, -1, np.int64)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            for r in range(starts[q], starts[q + 1]):
                slot[pool[r]] = r
            for u in range(items[q], items[q + 1]):
                x = item[u]
                if x < 0:
                    break
                for j in range(near_offsets[x], near_offsets[x + 1]):
                    r = slot[near[j]]
                    if r >= 0:
                        for c in range(columns.shape[0]):
                            kind, how, column = columns[c]
                            add_score(
                                X[r], column, how, near_weight[j], total[u, kind], most[u, kind]
                            )
            for r in range(starts[q], starts[q + 1]):
                slot[pool[r]] = -1
            divide_means(starts, q, items, total, columns, X)


@njit(parallel=True, cache=True)
def vector_columns(starts, pool, items, item, total, most, sources, vectors, columns, X):
    """Aggregates of sources[history item] . vectors[candidate], columns as in `matrix_columns`."""
    for q in prange(starts.size - 1):
        for r in range(starts[q], starts[q + 1]):
            for u in range(items[q], items[q + 1]):
                if item[u] < 0:
                    break
                cosine = np.float32(0.0)
                for d in range(vectors.shape[1]):
                    cosine += sources[item[u], d] * vectors[pool[r], d]
                for c in range(columns.shape[0]):
                    kind, how, column = columns[c]
                    add_score(X[r], column, how, cosine, total[u, kind], most[u, kind])
        divide_means(starts, q, items, total, columns, X)


@njit(inline="always")
def add_score(row, column, how, score, total, most):
    """Let one history item speak: its events' weights come summed (total) and at most (most)."""
    if how != MAX:
        row[column] += score * total
    elif how == MAX:
        row[column] = max(row[column], score * most)


@njit(inline="always")
def divide_means(starts, q, items, total, columns, X):
    """Turn the sums of `mean` columns into weighted means."""
    for c in range(columns.shape[0]):
        kind, how, column = columns[c]
        if how == MEAN:
            weight = np.float32(0.0)
            for u in range(items[q], items[q + 1]):
                weight += total[u, kind]
            for r in range(starts[q], starts[q + 1]):
                X[r, column] /= max(weight, np.float32(1e-9))


@njit(cache=True)
def times_by_item(aid, ts, kind, n_items, n_kinds):
    """Ascending event times of every (item, kind) as CSR: list number is aid * n_kinds + kind."""
    starts = np.zeros(n_items * n_kinds + 1, np.int64)
    for i in range(aid.size):
        starts[np.int64(aid[i]) * n_kinds + kind[i] + 1] += 1
    for k in range(starts.size - 1):
        starts[k + 1] += starts[k]
    at = starts[:-1].copy()
    times = np.empty(aid.size, np.int32)
    for i in range(aid.size):
        k = np.int64(aid[i]) * n_kinds + kind[i]
        times[at[k]] = ts[i]
        at[k] += 1
    for k in range(starts.size - 1):
        times[starts[k] : starts[k + 1]].sort()
    return starts, times


@njit(parallel=True, cache=True)
def popularity_column(
    starts, pool, query_ts, kind, item_starts, times, n_kinds, window, ahead, column, X
):
    """Events of each query's kind on the candidate in [query - window, query + ahead) seconds."""
    for q in prange(starts.size - 1):
        now = np.int64(query_ts[q])
        for r in range(starts[q], starts[q + 1]):
            k = np.int64(pool[r]) * n_kinds + kind[q]
            mine = times[item_starts[k] : item_starts[k + 1]]
            before = np.searchsorted(mine, now + ahead)
            X[r, column] = before - np.searchsorted(mine[:before], now - window)


@njit(parallel=True, cache=True)
def seen_columns(starts, pool, query_ts, item_starts, times, n_types, column, X):
    """Seconds from the candidate's first event, and from its latest one, to the query; or -1."""
    for q in prange(starts.size - 1):
        now = np.int64(query_ts[q])
        for r in range(starts[q], starts[q + 1]):
            X[r, column : column + 2] = -1
            for k in range(np.int64(pool[r]) * n_types, (np.int64(pool[r]) + 1) * n_types):
                mine = times[item_starts[k] : item_starts[k + 1]]
                before = np.searchsorted(mine, now)
                if before > 0:
                    X[r, column] = max(X[r, column], now - mine[0])
                    latest = np.float32(now - mine[before - 1])
                    if X[r, column + 1] < 0 or latest < X[r, column + 1]:
                        X[r, column + 1] = latest


@njit(parallel=True, cache=True)
def item_columns(offsets, aid, ts, first, starts, pool, known, relations, column, X):
    """A number known of each item (float64, NaN: unknown) in some relations to the history.

    relations: numbers of recipe.RELATIONS, a column each; UNKNOWN where a number that it takes is.
    """
    for q in prange(starts.size - 1):
        begin, stop = offsets[first + q], offsets[first + q + 1]
        last, now = known[aid[stop - 1]], float(ts[stop - 1])
        total, n = 0.0, 0
        for i in range(begin, stop):
            if not math.isnan(known[aid[i]]):
                total += known[aid[i]]
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
                        value += 1.0 if known[aid[i]] == mine else 0.0
                    value /= stop - begin
                X[r, column + k] = UNKNOWN if math.isnan(value) else value


@njit(parallel=True, cache=True)
def session_columns(offsets, aid, ts, type_, first, starts, n_types, column, X):
    """Shape of the history: SESSION_NAMES of features.py, then events per type."""
    for q in prange(starts.size - 1):
        begin, stop = offsets[first + q], offsets[first + q + 1]
        row = np.zeros(7 + n_types, np.float32)
        last = ts[stop - 1]
        row[0] = stop - begin
        row[2] = last - ts[begin]
        row[3] = last - ts[stop - 2] if stop - begin > 1 else -1
        row[4] = (last // 3600) % 24
        row[5] = (last // 86400) % 7
        row[6] = 1
        for i in range(begin, stop):
            new = True
            for j in range(begin, i):
                new &= aid[j] != aid[i]
            row[1] += new
            row[6] += i > begin and ts[i] - ts[i - 1] > VISIT_GAP
            row[7 + type_[i]] += 1
        for r in range(starts[q], starts[q + 1]):
            X[r, column : column + row.size] = row


@njit(parallel=True, cache=True)
def own_columns(offsets, aid, ts, type_, first, starts, pool, n_types, column, X):
    """What the session did with the candidate: OWN_NAMES of features.py, then events per type."""
    for q in prange(starts.size - 1):
        begin, stop = offsets[first + q], offsets[first + q + 1]
        for r in range(starts[q], starts[q + 1]):
            row = X[r, column : column + 5 + n_types]
            row[1:5] = -1
            for i in range(begin, stop):
                if aid[i] == pool[r]:
                    if row[0] == 0:
                        row[4] = ts[stop - 1] - ts[i]
                    row[0] += 1
                    row[1] = stop - 1 - i
                    row[2] = ts[stop - 1] - ts[i]
                    row[3] = type_[i]
                    row[5 + type_[i]] += 1


@njit(parallel=True, cache=True)
def rank_columns(starts, sources, first_column, X):
    """Rank within the query, 0 for the highest; ties share the best rank."""
    for q in prange(starts.size - 1):
        rows = X[starts[q] : starts[q + 1]]
        for k in range(sources.size):
            values = rows[:, sources[k]].copy()
            order = np.argsort(-values, kind="mergesort")
            rank = 0
            for p in range(order.size):
                if p > 0 and values[order[p]] != values[order[p - 1]]:
                    rank = p
                rows[order[p], first_column + k] = rank
