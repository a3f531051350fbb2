"""What followed an item in all sessions near a moment: the loop behind `FlowRule`."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from src.rules_kernel import insert_top

REACH = 7  # half-lives after which a vote, under 1/100, counts no more


@njit(cache=True)
def occurrences(aid, ts, n_items):
    """Event numbers of each item, by time, in event order where equal: CSR (offsets, event)."""
    order = np.argsort(ts, kind="mergesort")
    offsets = np.zeros(n_items + 1, np.int64)
    for i in range(aid.size):
        offsets[aid[i] + 1] += 1
    offsets = np.cumsum(offsets)
    at = offsets[:-1].copy()
    event = np.empty(aid.size, np.int64)
    for k in range(order.size):
        i = order[k]
        event[at[aid[i]]] = i
        at[aid[i]] += 1
    return offsets, event


@njit(inline="always")
def _from(ts, event, first, end, moment):
    """The first of event[first : end], ascending in time, that is not before a moment."""
    while first < end:
        middle = (first + end) // 2
        if ts[event[middle]] < moment:
            first = middle + 1
        else:
            end = middle
    return first


@njit(parallel=True, cache=True)
def flow_lists(
    offsets, items, weight, query_ts, events, by_item, steps, within, half_life, ahead,
    target_weight, top, n_threads,
):  # fmt: skip
    """Followers of the selected items, (queries, top): aid, score.

    offsets, items, weight: the selected items of each query as CSR; query_ts: second of each query;
    events: (aid, ts, type) of all events; by_item: `occurrences` and the end of each event's
    session. A vote: weight * target_weight[type] * 0.5 ** (seconds to the query / half_life).
    """
    n_queries = offsets.size - 1
    aid = np.full((n_queries, top), -1, np.int32)
    score = np.zeros((n_queries, top), np.float32)
    event_aid, ts, type_ = events
    starts, event, stop = by_item
    for t in prange(n_threads):
        total = np.zeros(starts.size - 1, np.float64)
        touched = np.empty(starts.size - 1, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            n_touched = 0
            now = np.int64(query_ts[q])
            for u in range(offsets[q], offsets[q + 1]):
                x = items[u]
                k = _from(ts, event, starts[x], starts[x + 1], now - REACH * half_life)
                while k < starts[x + 1]:
                    i = event[k]
                    k += 1
                    apart = abs(ts[i] - now)
                    if ts[i] > now and (not ahead or apart > REACH * half_life):
                        break
                    loud = weight[u] * 0.5 ** (apart / half_life)
                    for j in range(i + 1, min(i + 1 + steps, stop[i])):
                        if ts[j] - ts[i] > within or (not ahead and ts[j] >= now):
                            break
                        y = event_aid[j]
                        vote = loud * target_weight[type_[j]]
                        if y != x and vote > 0.0:
                            if total[y] == 0.0:
                                touched[n_touched] = y
                                n_touched += 1
                            total[y] += vote
            n, row, row_score = 0, aid[q], score[q]
            for v in range(n_touched):
                y = touched[v]
                n = insert_top(row, row_score, n, y, np.float32(total[y]))
                total[y] = 0.0
    return aid, score
