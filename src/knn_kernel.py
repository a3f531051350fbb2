"""Session-kNN: items of the sessions most like the query's.

V-SKNN: Ludewig and Jannach, "Evaluation of Session-based Recommendation Algorithms", UMUAI 2018.
STAN: Garg et al., "Sequence and Time Aware Neighborhood for Session-based Recommendations",
SIGIR 2019. Both are one loop with other decays: how much a query event counts by its place from
the end, a neighbour session by its age, a neighbour's item by its distance to the shared item.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.rules_kernel import insert_top


@njit(cache=True)
def latest_sessions(offsets, aid, ts, n_items, sample):
    """Up to `sample` sessions of each item as CSR (offsets, session), the last to end first."""
    end_ts = np.empty(offsets.size - 1, np.int64)
    for s in range(offsets.size - 1):
        end_ts[s] = ts[offsets[s + 1] - 1] if offsets[s + 1] > offsets[s] else 0
    order = np.argsort(-end_ts, kind="mergesort")
    size = np.zeros(n_items, np.int64)
    seen = np.full(n_items, -1, np.int32)
    for s in order:
        for i in range(offsets[s], offsets[s + 1]):
            if seen[aid[i]] != s:
                seen[aid[i]] = s
                size[aid[i]] += size[aid[i]] < sample
    starts = np.zeros(n_items + 1, np.int64)
    starts[1:] = np.cumsum(size)
    session = np.empty(starts[-1], np.int32)
    at = starts[:-1].copy()
    seen[:] = -1
    for s in order:
        for i in range(offsets[s], offsets[s + 1]):
            a = aid[i]
            if seen[a] != s:
                seen[a] = s
                if at[a] < starts[a + 1]:
                    session[at[a]] = s
                    at[a] += 1
    return starts, session


@njit(parallel=True, cache=True)
def knn_lists(offsets, aid, ts, first, end, starts, holders, idf, rule, top, n_threads):
    """Lists of the queries first : end.

    starts, holders: `latest_sessions`; idf: float64 weight per item; rule: float64 tuple
    (neighbours, query_decay, recency_days, item_decay).
    """
    neighbours = np.int64(rule[0])
    n_queries = end - first
    n_items = starts.size - 1
    list_aid = np.full((n_queries, top), -1, np.int32)
    list_score = np.zeros((n_queries, top), np.float32)
    for t in prange(n_threads):
        alike = np.zeros(offsets.size - 1, np.float64)
        met = np.empty(offsets.size - 1, np.int32)
        near = np.empty(neighbours, np.int32)
        near_alike = np.empty(neighbours, np.float32)
        query_weight = np.zeros(n_items, np.float64)
        state = np.zeros((n_items, 2), np.float64)  # best in this session; sum over sessions
        touched = np.empty(n_items, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            begin, stop = offsets[first + q], offsets[first + q + 1]
            _weigh_query(aid, begin, stop, rule[1], query_weight)
            n_met = _meet(aid, begin, stop, starts, holders, query_weight, first + q, alike, met)
            n_near = 0
            for m in range(n_met):
                s = met[m]
                size = offsets[s + 1] - offsets[s]
                value = alike[s] / math.sqrt(np.float64(size) * (stop - begin))
                alike[s] = 0.0
                if rule[2] > 0.0:
                    age = abs(np.float64(ts[stop - 1]) - ts[offsets[s + 1] - 1]) / 86400.0
                    value *= math.exp(-age / rule[2])
                n_near = insert_top(near, near_alike, n_near, s, np.float32(value))
            n_touched = 0
            for m in range(n_near):
                n_touched = _add_items(
                    aid,
                    offsets[near[m]],
                    offsets[near[m] + 1],
                    near_alike[m],
                    query_weight,
                    idf,
                    rule[3],
                    state,
                    touched,
                    n_touched,
                )
            n = 0
            for k in range(n_touched):
                y = touched[k]
                n = insert_top(list_aid[q], list_score[q], n, y, np.float32(state[y, 1]))
                state[y, 1] = 0.0
            for i in range(begin, stop):
                query_weight[aid[i]] = 0.0
    return list_aid, list_score


@njit(cache=True)
def _weigh_query(aid, begin, stop, decay, query_weight):
    """Each item weighs as its latest event: exp(-events back / decay), or linear in position."""
    for i in range(begin, stop):
        if decay > 0.0:
            query_weight[aid[i]] = math.exp(-(stop - 1 - i) / decay)
        else:
            query_weight[aid[i]] = (i - begin + 1) / (stop - begin)


@njit(cache=True)
def _meet(aid, begin, stop, starts, holders, query_weight, me, alike, met):
    """Add up shared query weights per session; returns how many sessions were met."""
    n_met = 0
    for i in range(stop - 1, begin - 1, -1):
        repeated = False
        for j in range(i + 1, stop):
            repeated |= aid[j] == aid[i]
        if repeated or query_weight[aid[i]] == 0.0:
            continue
        for h in range(starts[aid[i]], starts[aid[i] + 1]):
            s = holders[h]
            if s != me:
                if alike[s] == 0.0:
                    met[n_met] = s
                    n_met += 1
                alike[s] += query_weight[aid[i]]
    return n_met


@njit(cache=True)
def _add_items(aid, begin, stop, alike, query_weight, idf, decay, state, touched, n_touched):
    """Score the items of one neighbour session, each by its best event."""
    shared = begin
    for i in range(begin, stop):
        if query_weight[aid[i]] >= query_weight[aid[shared]]:
            shared = i
    for i in range(begin, stop):
        y = aid[i]
        value = alike * idf[y]
        if decay > 0.0:
            value *= math.exp(-abs(i - shared) / decay)
        if value > state[y, 0]:
            if state[y, 0] == 0.0 and state[y, 1] == 0.0:
                touched[n_touched] = y
                n_touched += 1
            state[y, 0] = value
    for i in range(begin, stop):
        y = aid[i]
        state[y, 1] += state[y, 0]
        state[y, 0] = 0.0
    return n_touched
