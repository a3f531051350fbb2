# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The loops behind the candidate rules: history items, matrix look-up, popularity in time.

A list per query is a row of `item` (int32, -1 where it ends) and `score` (float32), best first,
ties by item id. Every query is worked off by one thread in a fixed order, so lists do not depend
on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top
from src.data.events_kernel import VISIT_GAP

DAY = 24 * 3600
ALL, VISIT, VISIT_ENDS, VISIT_STARTS, LAST_DAY = range(5)  # the order of rows.rules.SCOPES


@njit(parallel=True, cache=True)
def select_items(offsets, item, ts, type_, first, end, scope, last, recency, type_weight):
    """Selected items of sessions first : end as CSR (offsets, item, weight), latest first."""
    room = offsets[first : end + 1] - offsets[first]
    items = np.empty(room[-1], np.int32)
    weight = np.empty(room[-1], np.float64)
    size = np.zeros(end - first, np.int64)
    for q in prange(end - first):
        begin, stop = offsets[first + q], offsets[first + q + 1]
        out = items[room[q] : room[q + 1]]
        loud = weight[room[q] : room[q + 1]]
        back = 0
        n = 0
        for i in range(stop - 1, begin - 1, -1):
            if not _in_scope(ts, i, begin, stop, scope):
                if scope in (VISIT, LAST_DAY):
                    break
                continue
            w = recency**back * type_weight[type_[i]]
            back += 1
            if w == 0.0:
                continue
            u = 0
            while u < n and out[u] != item[i]:
                u += 1
            if u == n:
                if n == last:
                    continue
                out[n] = item[i]
                loud[n] = 0.0
                n += 1
            loud[u] += w
        size[q] = n
    return _pack(room, size, items, weight)


@njit(inline="always")
def _in_scope(ts, i, begin, stop, scope):
    if scope == VISIT:
        return i == stop - 1 or ts[i + 1] - ts[i] <= VISIT_GAP
    if scope == VISIT_ENDS:
        return i == stop - 1 or ts[i + 1] - ts[i] > VISIT_GAP
    if scope == VISIT_STARTS:
        return i == begin or ts[i] - ts[i - 1] > VISIT_GAP
    if scope == LAST_DAY:
        return ts[stop - 1] - ts[i] < DAY
    return True


@njit(cache=True)
def _pack(room, size, items, weight):
    offsets = np.zeros(size.size + 1, np.int64)
    offsets[1:] = np.cumsum(size)
    item = np.empty(offsets[-1], np.int32)
    loud = np.empty(offsets[-1], np.float64)
    for q in range(size.size):
        item[offsets[q] : offsets[q + 1]] = items[room[q] : room[q] + size[q]]
        loud[offsets[q] : offsets[q + 1]] = weight[room[q] : room[q] + size[q]]
    return offsets, item, loud


@njit(parallel=True, cache=True)
def history_lists(offsets, items, weight, top):
    """The selected items themselves."""
    n_queries = offsets.size - 1
    item = np.full((n_queries, top), -1, np.int32)
    score = np.zeros((n_queries, top), np.float32)
    for q in prange(n_queries):
        n, row, row_score = 0, item[q], score[q]
        for i in range(offsets[q], offsets[q + 1]):
            n = insert_top(row, row_score, n, items[i], np.float32(weight[i]))
    return item, score


@njit(parallel=True, cache=True)
def matrix_lists(
    offsets, items, weight, near_offsets, near, near_weight, neighbours, share, top, n_threads
):
    """Neighbours of the selected items, summed over items."""
    n_queries = offsets.size - 1
    item = np.full((n_queries, top), -1, np.int32)
    score = np.zeros((n_queries, top), np.float32)
    for t in prange(n_threads):
        total = np.zeros(near_offsets.size - 1, np.float64)
        touched = np.empty(near_offsets.size - 1, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            n_touched = 0
            for i in range(offsets[q], offsets[q + 1]):
                first = near_offsets[items[i]]
                end = min(near_offsets[items[i] + 1], first + neighbours)
                unit = weight[i]
                if share:
                    unit = weight[i] / max(near_weight[first:end].sum(), np.float32(1e-30))
                for j in range(first, end):
                    vote = unit * near_weight[j] if share else unit
                    if vote > 0.0:
                        if total[near[j]] == 0.0:
                            touched[n_touched] = near[j]
                            n_touched += 1
                        total[near[j]] += vote
            n, row, row_score = 0, item[q], score[q]
            for k in range(n_touched):
                y = touched[k]
                n = insert_top(row, row_score, n, y, np.float32(total[y]))
                total[y] = 0.0
    return item, score


@njit(parallel=True, cache=True)
def flat(item, score, rule, rank):
    """Lists side by side, (queries, columns) with -1 where they end, as one table in this order.

    rule, rank: of each column. Returns query, rule, rank, item, score.
    """
    starts = np.zeros(item.shape[0] + 1, np.int64)
    for q in prange(item.shape[0]):
        starts[q + 1] = np.sum(item[q] >= 0)
    starts = np.cumsum(starts)
    n = starts[-1]
    query, rules, ranks = np.empty(n, np.int32), np.empty(n, np.uint8), np.empty(n, np.uint8)
    item_ids, scores = np.empty(n, np.int32), np.empty(n, np.float32)
    for q in prange(item.shape[0]):
        k = starts[q]
        for c in range(item.shape[1]):
            if item[q, c] >= 0:
                query[k], rules[k], ranks[k] = q, rule[c], rank[c]
                item_ids[k], scores[k] = item[q, c], score[q, c]
                k += 1
    return query, rules, ranks, item_ids, scores


@njit(cache=True)
def popular_rows(ts, item, type_, votes, ends, window, n_items, top):
    """Heaviest items in [end - window, end) for each of the ascending `ends`.

    ts ascending; votes: int64 weight of an event by its type (0: it does not count).
    """
    rows = np.full((ends.size, top), -1, np.int32)
    score = np.zeros((ends.size, top), np.float32)
    count = np.zeros(n_items, np.int64)
    into = 0
    out = 0
    for e in range(ends.size):
        while into < ts.size and ts[into] < ends[e]:
            count[item[into]] += votes[type_[into]]
            into += 1
        while out < into and ts[out] < ends[e] - window:
            count[item[out]] -= votes[type_[out]]
            out += 1
        n, row, row_score = 0, rows[e], score[e]
        for y in range(n_items):
            if count[y] > 0:
                n = insert_top(row, row_score, n, y, np.float32(count[y]))
    return rows, score


@njit(parallel=True, cache=True)
def fresh_lists(offsets, item, ts, first, end, order, created, seconds, same, near, apart, top):
    """The newest items that existed at the last event of sessions first : end, (queries, top).

    order, created: items by the second they came, ascending; same, near: float64 per item, NaN
    where unknown, or empty: no such condition. Score: 1 / (1 + age in hours).
    """
    rows = np.full((end - first, top), -1, np.int32)
    score = np.zeros((end - first, top), np.float32)
    for q in prange(end - first):
        history = item[offsets[first + q] : offsets[first + q + 1]]
        now = ts[offsets[first + q + 1] - 1]
        known, total = 0, 0.0
        for x in history if near.size else history[:0]:
            if not np.isnan(near[x]):
                known, total = known + 1, total + near[x]
        n = 0
        for i in range(np.searchsorted(created, now, side="right") - 1, -1, -1):
            y, age = order[i], now - created[i]
            if age > seconds or (n == top and 1.0 / (1.0 + age / 3600.0) < score[q, top - 1]):
                break
            if near.size and not (known and abs(near[y] - total / known) <= apart):
                continue
            if same.size and not _shared(same, history, y):
                continue
            n = insert_top(rows[q], score[q], n, y, np.float32(1.0 / (1.0 + age / 3600.0)))
    return rows, score


@njit(inline="always")
def _shared(value, history, y):
    """Whether an item of the history has the value of item y."""
    for x in history:  # noqa: SIM110 - as numba has it
        if value[x] == value[y]:
            return True
    return False
