# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Index the followers of every item by time; list the followers near the time of a query."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from src.core.arrays import F32, I32, I64
from src.core.topk_kernel import insert_top

REACH = 6  # half-lives from the query; later and earlier votes, under 1/64, do not count
STEP = 16  # seconds: distances from the query are rounded down to multiples of it


class Followers(NamedTuple):
    """Followers of each item as CSR by item, sorted by time."""

    offsets: I64
    ts: I32
    item: I32
    weight: F32


@njit(cache=True)
def followers(offsets, item, ts, type_, n_items, max_steps, max_gap, target_weight):
    """Index the events that follow an event of their session: the arrays of Followers.

    A follower comes at most max_steps events and max_gap seconds after the event. It has another
    item, and a target weight above 0.
    """
    order = np.argsort(ts, kind="mergesort")
    session_start = np.empty(item.size, np.int64)
    for s in range(offsets.size - 1):
        session_start[offsets[s] : offsets[s + 1]] = offsets[s]
    item_offsets = np.zeros(n_items + 1, np.int64)
    for fill in range(2):  # count, then fill
        if fill:
            item_offsets = np.cumsum(item_offsets)
            cursor, n = item_offsets[:-1].copy(), item_offsets[-1]
            follower_ts, follower = np.empty(n, np.int32), np.empty(n, np.int32)
            weight = np.empty(n, np.float32)
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
                    item_offsets[x + 1] += 1
                else:
                    k = cursor[x]
                    follower_ts[k], follower[k], weight[k] = ts[j], item[j], vote
                    cursor[x] += 1
    return item_offsets, follower_ts, follower, weight


@njit(parallel=True, cache=True)
def transition_lists(
    offsets, items, weight, query_ts, item_offsets, follower_ts, follower, follower_weight, decay,
    looks_ahead, top, n_threads,
):  # fmt: skip
    """List the followers of the seed items by the sum of their votes: item, score (queries, top).

    offsets, items, weight: seeds by query as CSR. query_ts: second of each query. item_offsets,
    follower_ts, follower, follower_weight: Followers. decay: factor of a vote by (seconds from the
    query) // STEP; votes beyond its end do not count. looks_ahead: votes at the second of the query
    or later count, too.
    """
    n_queries = offsets.size - 1
    item = np.full((n_queries, top), -1, np.int32)
    score = np.zeros((n_queries, top), np.float32)
    reach = decay.size * STEP
    for t in prange(n_threads):
        total = np.zeros(item_offsets.size - 1, np.float32)
        touched = np.empty(item_offsets.size - 1, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            n_touched = 0
            now = np.int64(query_ts[q])
            until = now + reach if looks_ahead else now
            for u in range(offsets[q], offsets[q + 1]):
                first, end = item_offsets[items[u]], item_offsets[items[u] + 1]
                while first < end:
                    middle = (first + end) // 2
                    if follower_ts[middle] <= now - reach:
                        first = middle + 1
                    else:
                        end = middle
                for k in range(first, item_offsets[items[u] + 1]):
                    if follower_ts[k] >= until:
                        break
                    y, step = follower[k], abs(follower_ts[k] - now) // STEP
                    vote = weight[u] * follower_weight[k] * decay[step]
                    if np.float32(vote) == 0.0:  # too small for the sum
                        continue
                    if total[y] == 0.0:
                        touched[n_touched] = y
                        n_touched += 1
                    total[y] += vote
            n, row, row_score = 0, item[q], score[q]
            for v in range(n_touched):
                y = touched[v]
                n = insert_top(row, row_score, n, y, total[y])
                total[y] = 0.0
    return item, score
