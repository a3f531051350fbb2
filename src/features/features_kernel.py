# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The loops behind the features: every one fills columns of X (rows of the pool, all features).

Queries are split over threads; a query's rows are filled by one thread in a fixed order. `starts`
is the pool's CSR. What the session itself is like: session_kernel.py; what all sessions did with an
item: statistics_kernel.py.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

EQUAL, POSITION, TYPE, DAY, TIME, RECSYS = range(6)  # the order of rows.features.WEIGHTINGS
N_WEIGHTINGS = 6
SUM, MEAN, MAX, LATEST, COUNT = range(5)  # the first three in the order of rows.features.AGGREGATES
N_LATEST = 5  # latest events that can have a column of their own
AT_A_TIME = 6  # columns that are ranked together


@njit(forceinline=True)
def event_weight(kind, back, n, seconds, type_weight):
    """Weight of an event `back` places and `seconds` before the last one of n events.

    POSITION, TYPE, DAY, TIME: Theo Viel's, as meant. RECSYS: that of the RecSys 2022 challenge, up
    to the factor 1 / ln(1 + events of the item), which the caller knows.
    """
    if kind == POSITION:
        return 2.0 ** (0.1 + 0.9 * (n - 1 - back) / (n - 1)) - 1.0 if n > 1 else 1.0
    if kind == TYPE:
        return type_weight
    if kind == DAY:
        return 1.0 if seconds <= 86400 else 0.0
    if kind == TIME:
        return 1.0 / math.log(2.0 + seconds / 60.0)
    if kind == RECSYS:
        time = 1.0 / math.log(2.0 + seconds / 60.0)
        return time / (math.log(2.0 + back) * math.log(1.0 + n))
    return 1.0


@njit(parallel=True, cache=True)
def history_items(offsets, item, ts, type_, first, end, tail, type_weight):
    """Different items of the last `tail` events of sessions first : end, latest first.

    Returns CSR offsets, item (-1 behind the last one); the sum and the maximum of its events'
    weights under every weighting, shape (items, weightings), and which of the latest events are on
    it: bit b for the event b places before the last one.
    """
    n_queries = end - first
    size = np.zeros(n_queries + 1, np.int64)
    for q in range(n_queries):
        size[q + 1] = size[q] + min(tail, offsets[first + q + 1] - offsets[first + q])
    history_item = np.full(size[-1], -1, np.int32)
    total = np.zeros((size[-1], N_WEIGHTINGS), np.float32)
    most = np.zeros((size[-1], N_WEIGHTINGS), np.float32)
    latest = np.zeros(size[-1], np.int32)
    for q in prange(n_queries):
        stop, begin = offsets[first + q + 1], size[q]
        n = size[q + 1] - begin
        used = 0
        for back in range(n):
            i = stop - 1 - back
            u = begin
            while u < begin + used and history_item[u] != item[i]:
                u += 1
            if u == begin + used:
                history_item[u] = item[i]
                used += 1
            if back < N_LATEST:
                latest[u] |= 1 << back
            for k in range(N_WEIGHTINGS):
                w = event_weight(k, back, n, ts[stop - 1] - ts[i], type_weight[type_[i]])
                total[u, k] += w
                most[u, k] = max(most[u, k], w)
        for u in range(begin, begin + used):
            item_term = 1.0 / math.log(1.0 + total[u, EQUAL])
            total[u, RECSYS] *= item_term
            most[u, RECSYS] *= item_term
    return size, history_item, total, most, latest


@njit(forceinline=True)
def _bits(n):
    """So many bits that a table of 2 ** bits slots is at most half full."""
    bits = 4
    while 1 << bits < 2 * n:
        bits += 1
    return bits


@njit(forceinline=True)
def _slot(x, bits):
    return np.uint64(x) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - bits)


@njit(forceinline=True)
def _speak(score, r, u, above, total, most, latest, sums, tops, lone, count):
    """Let one history item speak for row r: its events' weights come summed and at most."""
    for k in range(N_WEIGHTINGS):
        sums[r, k] += score * total[u, k]
        tops[r, k] = max(tops[r, k], score * most[u, k])
    if latest[u]:
        for b in range(N_LATEST):
            if latest[u] >> b & 1:
                lone[r, b] = score
    count[r] += 1.0 if score > above else 0.0


@njit(forceinline=True)
def _quiet(n, sums, tops, lone, count):
    sums[:n] = 0.0
    tops[:n] = 0.0
    lone[:n] = 0.0
    count[:n] = 0.0


@njit(forceinline=True)
def _write(first, n, begin, end, total, cells, column, sums, tops, lone, count, weight, X):
    """Write the cells (aggregate, weighting or place) of a query's rows; `weight`: scratch."""
    for k in range(N_WEIGHTINGS):
        weight[k] = np.float32(0.0)
        for u in range(begin, end):
            weight[k] += total[u, k]
        weight[k] = np.float32(1.0) / max(weight[k], np.float32(1e-9))
    for r in range(n):
        for c in range(cells.shape[0]):
            how, k = cells[c, 0], cells[c, 1]
            if how == SUM:
                value = sums[r, k]
            elif how == MEAN:
                value = sums[r, k] * weight[k]
            elif how == MAX:
                value = tops[r, k]
            elif how == LATEST:
                value = lone[r, k]
            else:
                value = count[r]
            X[first + r, column + c] = value


@njit(parallel=True, cache=True)
def matrix_columns(
    starts, pool, items, history_item, total, most, latest, near_offsets, near, near_weight,
    above, cells, column, X, n_threads,
):  # fmt: skip
    """Aggregates of near_weight[history item, candidate]: columns column : column + cells.

    cells: int64 rows (aggregate, weighting); of LATEST, how many events back; of COUNT, nothing.
    """
    n_queries = starts.size - 1
    longest = np.diff(starts).max()
    for t in prange(n_threads):
        sums = np.zeros((longest, N_WEIGHTINGS), np.float32)
        tops = np.zeros((longest, N_WEIGHTINGS), np.float32)
        lone, count = np.zeros((longest, N_LATEST), np.float32), np.zeros(longest, np.float32)
        weight = np.zeros(N_WEIGHTINGS, np.float32)
        place = np.full(1 << _bits(longest), -1, np.int32)  # hash table of the query's candidates
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            first, n = starts[q], starts[q + 1] - starts[q]
            if n == 0:
                continue
            bits = _bits(n)
            mask = np.uint64((1 << bits) - 1)
            place[: 1 << bits] = -1
            for r in range(n):
                k = _slot(pool[first + r], bits)
                while place[k] >= 0:
                    k = (k + np.uint64(1)) & mask
                place[k] = r
            _quiet(n, sums, tops, lone, count)
            for u in range(items[q], items[q + 1]):
                x = history_item[u]
                if x < 0:
                    break
                for j in range(near_offsets[x], near_offsets[x + 1]):
                    k = _slot(near[j], bits)
                    while place[k] >= 0 and pool[first + place[k]] != near[j]:
                        k = (k + np.uint64(1)) & mask
                    r = place[k]
                    if r >= 0:
                        _speak(near_weight[j], r, u, above, total, most, latest, sums, tops,
                               lone, count)  # fmt: skip
            _write(first, n, items[q], items[q + 1], total, cells, column, sums, tops, lone,
                   count, weight, X)  # fmt: skip


@njit(forceinline=True, fastmath={"reassoc", "contract", "nsz"})
def _dot(a, i, b, j):
    total = np.float32(0.0)
    for d in range(a.shape[1]):
        total += a[i, d] * b[j, d]
    return total


@njit(parallel=True, cache=True)
def vector_columns(
    starts, pool, items, history_item, total, most, latest, sources, vectors, above, cells, column, X,
    n_threads,
):  # fmt: skip
    """Aggregates of sources[history item] . vectors[candidate], else as `matrix_columns`."""
    n_queries = starts.size - 1
    longest = np.diff(starts).max()
    for t in prange(n_threads):
        sums = np.zeros((longest, N_WEIGHTINGS), np.float32)
        tops = np.zeros((longest, N_WEIGHTINGS), np.float32)
        lone, count = np.zeros((longest, N_LATEST), np.float32), np.zeros(longest, np.float32)
        weight = np.zeros(N_WEIGHTINGS, np.float32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            first, n = starts[q], starts[q + 1] - starts[q]
            _quiet(n, sums, tops, lone, count)
            for u in range(items[q], items[q + 1]):
                if history_item[u] < 0:
                    break
                for r in range(n):
                    cosine = _dot(sources, history_item[u], vectors, pool[first + r])
                    _speak(cosine, r, u, above, total, most, latest, sums, tops, lone, count)
            _write(first, n, items[q], items[q + 1], total, cells, column, sums, tops, lone,
                   count, weight, X)  # fmt: skip


@njit(forceinline=True)
def _first_at(times, low, high, second):
    """The first place in times[low:high], ascending, that is not before a second."""
    while low < high:
        middle = (low + high) >> 1
        if times[middle] < second:
            low = middle + 1
        else:
            high = middle
    return low


@njit(parallel=True, cache=True)
def popularity_columns(
    starts, pool, query_ts, kind, item_starts, times, n_kinds, windows, ahead, column, X
):
    """Events of each query's kind on the candidate in [query - window, query + ahead) seconds.

    windows ascend; behind their columns come those of each window's share of the next one. A kind
    that never occurs (there are n_kinds) has no events: X comes filled with zeros.
    """
    n = windows.size
    for q in prange(starts.size - 1):
        if kind[q] >= n_kinds:
            continue
        now = np.int64(query_ts[q])
        for r in range(starts[q], starts[q + 1]):
            k = np.int64(pool[r]) * n_kinds + kind[q]
            low = item_starts[k]
            before = _first_at(times, low, item_starts[k + 1], now + ahead)
            at = before
            for w in range(n):
                at = _first_at(times, low, at, now - windows[w])
                X[r, column + w] = before - at
            for w in range(n - 1):
                share = X[r, column + w] / max(X[r, column + w + 1], np.float32(1.0))
                X[r, column + n + w] = share


@njit(parallel=True, cache=True)
def seen_columns(starts, pool, query_ts, item_starts, times, n_types, column, X):
    """Seconds from the candidate's first event, and from its latest one, to the query; or -1."""
    for q in prange(starts.size - 1):
        now = np.int64(query_ts[q])
        for r in range(starts[q], starts[q + 1]):
            X[r, column : column + 2] = -1
            for k in range(np.int64(pool[r]) * n_types, (np.int64(pool[r]) + 1) * n_types):
                before = _first_at(times, item_starts[k], item_starts[k + 1], now)
                if before > item_starts[k]:
                    X[r, column] = max(X[r, column], now - times[item_starts[k]])
                    latest = np.float32(now - times[before - 1])
                    if X[r, column + 1] < 0 or latest < X[r, column + 1]:
                        X[r, column + 1] = latest


@njit(parallel=True, cache=True)
def table_columns(pool, table, column, X):
    """Numbers of each candidate, table (items, n)."""
    for r in prange(pool.size):
        for c in range(table.shape[1]):
            X[r, column + c] = table[pool[r], c]


@njit(parallel=True, cache=True)
def pool_columns(starts, vote, ranks, scores, column, X):
    """The fused vote, the place in the pool, and every rule's rank and score (rows, rules)."""
    n_rules = ranks.shape[1]
    for q in prange(starts.size - 1):
        for r in range(starts[q], starts[q + 1]):
            X[r, column] = vote[r]
            X[r, column + 1] = r - starts[q]
            for rule in range(n_rules):
                # ABSENT is behind every rank; NaN would make the histograms sparse, and slower
                X[r, column + 2 + rule] = ranks[r, rule]
                X[r, column + 2 + n_rules + rule] = scores[r, rule]


@njit(fastmath={"reassoc"})  # sums of ones: exact in any order
def _ranks(values, n, known, row, out):
    """out[:n]: how many of values[:n] are higher than each; known, row: scratch.

    Most are 0: only the others are compared with each other.
    """
    used, positive = 0, 0
    for r in range(n):
        if values[r] != 0.0:
            known[used], row[used] = values[r], r
            used += 1
            positive += 1 if values[r] > 0.0 else 0
    out[:n] = positive
    for p in range(used):
        mine, higher = known[p], np.float32(0.0)
        for other in range(used):
            higher += np.float32(1.0) if known[other] > mine else np.float32(0.0)
        out[row[p]] = higher if mine > 0.0 else higher + np.float32(n - used)


@njit(parallel=True, cache=True)
def rank_columns(starts, sources, targets, X, n_threads):
    """Rank within the query of some columns, in others: 0 for the highest; ties share the best."""
    n_queries = starts.size - 1
    longest = np.diff(starts).max()
    for t in prange(n_threads):
        values = np.empty((AT_A_TIME, longest), np.float32)
        ranks = np.empty((AT_A_TIME, longest), np.float32)
        known, row = np.empty(longest, np.float32), np.empty(longest, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            first, n = starts[q], starts[q + 1] - starts[q]
            for k in range(0, sources.size, AT_A_TIME):
                some = min(AT_A_TIME, sources.size - k)
                for r in range(n):  # neighbouring columns are in the cache together
                    for c in range(some):
                        values[c, r] = X[first + r, sources[k + c]]
                for c in range(some):
                    _ranks(values[c], n, known, row, ranks[c])
                for r in range(n):
                    for c in range(some):
                        X[first + r, targets[k + c]] = ranks[c, r]
