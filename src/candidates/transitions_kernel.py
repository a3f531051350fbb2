# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Index what follows every item in time, and list what followed near a moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from src.core.arrays import F32, I32, I64
from src.core.topk_kernel import insert_top

REACH = 6  # half-lives after which a vote, under 1/64, counts no more
STEP = 16  # seconds that votes lie apart are rounded down to multiples of this


class Followers(NamedTuple):
    """What came behind each item, as CSR by item, in the order of time."""

    offsets: I64
    second: I32
    item: I32
    weight: F32


@njit(cache=True)
def followers(offsets, item, ts, type_, n_items, max_steps, max_gap, target_weight):
    """Every event that comes at most `max_steps` and so many seconds behind another of its session.

    Returns, by the item that is followed: offsets, and the second (ascending), item and weight of
    each follower. An item does not follow itself; a weight of 0 is no follower.
    """
    order = np.argsort(ts, kind="mergesort")
    session_start = np.empty(item.size, np.int64)
    for s in range(offsets.size - 1):
        session_start[offsets[s] : offsets[s + 1]] = offsets[s]
    starts = np.zeros(n_items + 1, np.int64)
    for fill in range(2):
        if fill:
            starts = np.cumsum(starts)
            at = starts[:-1].copy()
            moment, follower = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
            weight = np.empty(starts[-1], np.float32)
        for k in range(order.size):
            j = order[k]
            vote = target_weight[type_[j]]
            for i in range(j - 1, max(session_start[j], j - max_steps) - 1, -1):
                x = item[i]
                if vote == 0.0 or ts[j] - ts[i] > max_gap:
                    break
                if item[j] == x:
                    continue
                if not fill:
                    starts[x + 1] += 1
                else:
                    moment[at[x]], follower[at[x]], weight[at[x]] = ts[j], item[j], vote
                    at[x] += 1
    return starts, moment, follower, weight


@njit(parallel=True, cache=True)
def transition_lists(
    offsets, items, weight, query_ts, starts, moment, follower, follower_weight, decay,
    looks_ahead, top, n_threads,
):  # fmt: skip
    """Lists (queries, top) of followers of the seed items: item, score.

    offsets, items, weight: seeds of each query as CSR. query_ts: second of each query. starts,
    moment, follower, follower_weight: of `followers`. decay: of a vote by (seconds to the query)
    // STEP; its end is how far votes reach. looks_ahead: votes at the query's second or later
    count.
    """
    n_queries = offsets.size - 1
    item = np.full((n_queries, top), -1, np.int32)
    score = np.zeros((n_queries, top), np.float32)
    reach = decay.size * STEP
    for t in prange(n_threads):
        total = np.zeros(starts.size - 1, np.float32)
        touched = np.empty(starts.size - 1, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            n_touched = 0
            now = np.int64(query_ts[q])
            until = now + reach if looks_ahead else now
            for u in range(offsets[q], offsets[q + 1]):
                first, end = starts[items[u]], starts[items[u] + 1]
                while first < end:
                    middle = (first + end) // 2
                    if moment[middle] <= now - reach:
                        first = middle + 1
                    else:
                        end = middle
                for k in range(first, starts[items[u] + 1]):
                    if moment[k] >= until:
                        break
                    y = follower[k]
                    if total[y] == 0.0:
                        touched[n_touched] = y
                        n_touched += 1
                    total[y] += weight[u] * follower_weight[k] * decay[abs(moment[k] - now) // STEP]
            n, row, row_score = 0, item[q], score[q]
            for v in range(n_touched):
                y = touched[v]
                n = insert_top(row, row_score, n, y, total[y])
                total[y] = 0.0
    return item, score
