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

LAST, SIZE = range(2)  # columns of `shapes`


@njit(cache=True)
def shapes(offsets, ts):
    """Second of the last event, and number of events, of every session: int32 (sessions, 2)."""
    out = np.zeros((offsets.size - 1, 2), np.int32)
    for s in range(offsets.size - 1):
        out[s, SIZE] = offsets[s + 1] - offsets[s]
        if out[s, SIZE] > 0:
            out[s, LAST] = ts[offsets[s + 1] - 1]
    return out


@njit(cache=True)
def latest_sessions(offsets, aid, shape, n_items, sample):
    """Up to `sample` sessions of each item, the last to end first, and how many there are in all.

    Returns CSR (starts int64, session int32), and the count of all sessions with each item.
    """
    order = np.argsort(-shape[:, LAST].astype(np.int64), kind="mergesort")
    count = np.zeros(n_items, np.int64)
    seen = np.full(n_items, -1, np.int32)
    for s in range(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1]):
            if seen[aid[i]] != s:
                seen[aid[i]] = s
                count[aid[i]] += 1
    left = np.minimum(count, sample).astype(np.int32)
    starts = np.zeros(n_items + 1, np.int64)
    starts[1:] = np.cumsum(left)
    session = np.empty(starts[-1], np.int32)
    seen[:] = -1
    for s in order:
        for i in range(offsets[s], offsets[s + 1]):
            a = aid[i]
            if left[a] > 0 and seen[a] != s:
                seen[a] = s
                session[starts[a + 1] - left[a]] = s
                left[a] -= 1
    return starts, session, count


@njit(parallel=True, cache=True)
def knn_lists(sessions, shape, first, end, holders, idf, numbers, fade, scratch, top):
    """Lists of the queries first : end.

    sessions: offsets and aid; holders: CSR of `latest_sessions`; idf: weight per item;
    numbers: neighbours, query_decay, recency_days; fade: weight by distance to the shared item,
    not growing, none beyond (empty: all weigh 1).
    scratch: zeros that are zeros again in the end: alike (threads, sessions) and loud (threads,
    items), float64; state (threads, items, 2), float32.
    """
    offsets, aid = sessions
    n_queries, n_threads = end - first, scratch[0].shape[0]
    list_aid = np.full((n_queries, top), -1, np.int32)
    list_score = np.zeros((n_queries, top), np.float32)
    for t in prange(n_threads):
        alike, loud, state = scratch[0][t], scratch[1][t], scratch[2][t]
        met = np.empty(alike.size, np.int32)
        touched = np.empty(loud.size, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            begin, stop = offsets[first + q], offsets[first + q + 1]
            _weigh_query(aid, begin, stop, numbers[1], loud)
            n_met = _meet(aid, begin, stop, holders, loud, first + q, alike, met)
            near = _nearest(alike, met[:n_met], shape, first + q, numbers)
            n_touched = 0
            for m in range(near.size):
                s = np.int64(near[m] & np.uint64(0xFFFFFFFF))
                a, b, v = offsets[s], offsets[s + 1], alike[s]
                n_touched = _add_items(aid, a, b, v, loud, fade, state, touched, n_touched, m + 1)
                alike[s] = 0.0
            n, row, row_score = 0, list_aid[q], list_score[q]
            for k in range(n_touched):
                y = touched[k]
                score = np.float32(state[y, 0] * idf[y])
                if score > 0.0:
                    n = insert_top(row, row_score, n, y, score)
                state[y, 0] = state[y, 1] = 0.0
            for i in range(begin, stop):
                loud[aid[i]] = 0.0
    return list_aid, list_score


@njit(cache=True)
def _weigh_query(aid, begin, stop, decay, loud):
    """Each item weighs as its latest event: exp(-events back / decay), or linear in position."""
    for i in range(begin, stop):
        if decay > 0.0:
            loud[aid[i]] = math.exp(-(stop - 1 - i) / decay)
        else:
            loud[aid[i]] = (i - begin + 1) / (stop - begin)


@njit(cache=True)
def _meet(aid, begin, stop, holders, loud, me, alike, met):
    """Add up shared query weights per session; returns how many sessions were met."""
    starts, session = holders
    n_met = 0
    for i in range(stop - 1, begin - 1, -1):
        x = aid[i]
        repeated = False
        for j in range(i + 1, stop):
            repeated |= aid[j] == x
        if repeated or loud[x] == 0.0:
            continue
        for h in range(starts[x], starts[x + 1]):
            s = session[h]
            if s != me:
                if alike[s] == 0.0:
                    met[n_met] = s
                    n_met += 1
                alike[s] += loud[x]
    return n_met


@njit(cache=True)
def _nearest(alike, met, shape, me, numbers):
    """Keys of the most similar sessions met: bits of the float32 similarity, then the session.

    (So the later of two equal ones wins.) Sets `alike` to the similarity of those, else to 0.
    """
    value = np.empty(met.size, np.float32)
    for m in range(met.size):
        s = met[m]
        v = alike[s] / math.sqrt(np.float64(shape[s, SIZE]) * shape[me, SIZE])
        if numbers[2] > 0.0:
            days = abs(np.float64(shape[me, LAST]) - shape[s, LAST]) / 86400.0
            v *= math.exp(-days / numbers[2])
        alike[s] = v
        value[m] = v
    keys = (value.view(np.uint32).astype(np.uint64) << np.uint64(32)) | met.astype(np.uint64)
    n = np.int64(numbers[0])
    if keys.size <= n:
        return keys
    keys = np.partition(keys, keys.size - n)
    for k in range(keys.size - n):
        alike[np.int64(keys[k] & np.uint64(0xFFFFFFFF))] = 0.0
    return keys[keys.size - n :]


@njit(cache=True)
def _add_items(aid, begin, stop, alike, loud, fade, state, touched, n_touched, me):
    """Add the items of neighbour session `me`, each once: by the event nearest to the shared one.

    state (items, 2): sum over sessions; the last session that added to it, counted from 1.
    """
    shared, loudest = begin, 0.0
    far = max(shared - begin, stop - 1 - shared)
    if fade.size > 0:
        for i in range(stop - 1, begin - 1, -1):
            if loud[aid[i]] > loudest:
                shared, loudest = i, loud[aid[i]]
                if loudest == 1.0:  # none is louder
                    break
        far = min(max(shared - begin, stop - 1 - shared), fade.size - 1)
    for distance in range(far + 1):
        value = alike * fade[distance] if fade.size > 0 else alike
        for i in (shared - distance, shared + distance):
            if begin <= i < stop and state[aid[i], 1] != me:
                y = aid[i]
                if state[y, 1] == 0.0:
                    touched[n_touched] = y
                    n_touched += 1
                state[y, 0] += value
                state[y, 1] = me
    return n_touched
