# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Session-kNN: items of the sessions most like the query's.

V-SKNN: Ludewig and Jannach, "Evaluation of Session-based Recommendation Algorithms", UMUAI 2018.
STAN: Garg et al., "Sequence and Time Aware Neighborhood for Session-based Recommendations",
SIGIR 2019. Both are one loop with other decays: how much a query event counts by its place from
the end, a neighbour session by its age, a neighbour's item by its distance to the shared item.

A query meets some thousand sessions, and then some thousand items, out of millions: a hash table
of those fits the cache, arrays over all sessions and items do not. (Helpers with an early return
are not here: numba then counts references to every array given, in the innermost loop.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from src.candidates.neighbours_kernel import BINS, compare, keep_nearest, nth_largest
from src.core.arrays import I32, I64
from src.core.hash_kernel import FREE, NUMBER, clear_table, find_slot, prefetch, table_bits
from src.core.topk_kernel import insert_top
from src.data.events_kernel import BEGIN, LAST, SIZE


class Events(NamedTuple):
    """Events of all sessions."""

    offsets: I64
    item: I32
    ts: I32


class Postings(NamedTuple):
    """The latest sessions of each item as CSR (`latest_sessions`)."""

    offsets: I64
    entries: I32  # (n, 3): BEGIN, SIZE, LAST


class Settings(NamedTuple):
    """Numbers of a retriever, and how much room a query needs."""

    neighbours: float
    query_decay: float
    recency_days: float
    max_met: int  # sessions that a query meets, at most
    max_items: int  # different items of a query and its neighbours, at most


@njit(cache=True)
def most_met(offsets, item, starts, first, end):
    """At least as many as the sessions that any query of first : end meets."""
    most = 0
    for q in range(first, end):
        most = max(most, _n_postings(item, offsets[q], offsets[q + 1], starts))
    return most


@njit(parallel=True, cache=True, error_model="numpy", nogil=True)
def knn_lists(events, first, end, postings, idf, distance_decay, how, n_threads, top):
    """Lists of the queries first : end.

    idf: weight per item (empty: all weigh 1). distance_decay: weight by distance to the shared
    item, not growing, none beyond (empty: all weigh 1). An empty query meets no session.
    """
    offsets, item, ts = events.offsets, events.item, events.ts
    starts, entries = postings.offsets, postings.entries
    n_queries = end - first
    list_item = np.full((n_queries, top), -1, np.int32)
    list_score = np.zeros((n_queries, top), np.float32)
    for t in prange(n_threads):
        slots = np.empty(1 << table_bits(max(how.max_met, how.max_items)), np.int64)
        met, similarity = np.empty((how.max_met, 3), np.int32), np.empty(how.max_met, np.float64)
        value, keys = np.empty(how.max_met, np.float32), np.empty(how.max_met, np.uint64)
        candidate, last_source = (
            np.empty(how.max_items, np.int32),
            np.empty(how.max_items, np.int32),
        )
        total, weight = np.empty(how.max_items, np.float32), np.empty(how.max_items, np.float64)
        bins = np.empty(BINS, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            begin, stop = offsets[first + q], offsets[first + q + 1]
            bits = clear_table(slots, min(_n_postings(item, begin, stop, starts), how.max_met))
            n_met = _meet(
                item, begin, stop, starts, entries, how.query_decay, slots, bits, met, similarity
            )
            compare(met, similarity, value, n_met, stop - begin, ts[stop - 1], how.recency_days)
            least = np.uint64(0)
            if n_met > how.neighbours:
                least = nth_largest(value, met, n_met, np.int64(how.neighbours), bins, keys)
            n_near, events = keep_nearest(item, met, similarity, value, n_met, least)
            bits = clear_table(slots, min(events + stop - begin, how.max_items))
            n, bloom = _own(
                item,
                begin,
                stop,
                how.query_decay,
                slots,
                bits,
                candidate,
                last_source,
                total,
                weight,
            )
            mine = n
            for m in range(n_near):
                a, b, v, me = met[m, BEGIN], met[m, BEGIN] + met[m, SIZE], similarity[m], m + 1
                shared, steps = a, b - a
                if distance_decay.size > 0:
                    shared = _shared(item, a, b, mine, bloom, slots, bits, weight)
                    steps = 2 * min(max(shared - a, b - 1 - shared), distance_decay.size - 1) + 1
                for step in range(steps):  # each item once: by the event nearest to the shared one
                    i, v = a + step, similarity[m]
                    if distance_decay.size > 0:
                        distance = (step + 1) >> 1
                        i = shared - distance if step & 1 else shared + distance
                        if i < a or i >= b:
                            continue
                        v *= distance_decay[distance]
                    k = find_slot(slots, bits, item[i])
                    if slots[k] == FREE:
                        slots[k] = np.int64(item[i]) << 32 | n
                        prefetch(idf, item[i])  # type: ignore[call-arg]
                        candidate[n], last_source[n], total[n] = item[i], me, v
                        n += 1
                    else:
                        p = np.uint64(slots[k] & NUMBER)
                        if last_source[p] != me:
                            last_source[p] = me
                            total[p] += v
            listed, row, row_score = 0, list_item[q], list_score[q]
            for j in range(n):
                score = np.float32(total[j] * idf[candidate[j]]) if idf.size > 0 else total[j]
                if score > 0.0:
                    listed = insert_top(row, row_score, listed, candidate[j], score)
    return list_item, list_score


@njit(forceinline=True)
def _n_postings(item, begin, stop, starts):
    n = 0
    for i in range(begin, stop):
        n += starts[item[i] + 1] - starts[item[i]]
    return n


@njit(forceinline=True)
def _query_weight(position, size, decay):
    """Weight of a query event: exp(-events back / decay), or linear in position."""
    return math.exp(-(size - 1 - position) / decay) if decay > 0.0 else (position + 1) / size


@njit(forceinline=True, error_model="numpy")
def _meet(item, begin, stop, starts, entries, decay, slots, bits, met, similarity):
    """Add up shared query weights per session; returns how many sessions were met.

    An item weighs as its latest event. A session is known by its first event.
    """
    n_met = 0
    for i in range(stop - 1, begin - 1, -1):
        x = item[i]
        repeated = False
        for j in range(i + 1, stop):
            repeated |= item[j] == x
        weight = _query_weight(i - begin, stop - begin, decay)
        if repeated or weight == 0.0:
            continue
        for h in range(starts[x], starts[x + 1]):
            s = np.int64(entries[h, BEGIN])
            if s != begin:
                k = find_slot(slots, bits, s)
                if slots[k] == FREE:
                    slots[k] = s << 32 | n_met
                    met[n_met, BEGIN] = s
                    met[n_met, SIZE] = entries[h, SIZE]
                    met[n_met, LAST] = entries[h, LAST]
                    similarity[n_met] = weight
                    n_met += 1
                else:
                    similarity[slots[k] & NUMBER] += weight
    return n_met


@njit(forceinline=True, error_model="numpy")
def _own(item, begin, stop, decay, slots, bits, candidate, last_source, total, weight):
    """Put the query's items into the table, with their weights; how many, and a Bloom filter."""
    n, bloom = 0, np.uint64(0)
    for i in range(stop - 1, begin - 1, -1):
        bloom |= np.uint64(1) << (np.uint64(item[i]) & np.uint64(63))
        k = find_slot(slots, bits, item[i])
        if slots[k] == FREE:
            slots[k] = np.int64(item[i]) << 32 | n
            candidate[n], last_source[n], total[n] = item[i], 0, 0.0
            weight[n] = _query_weight(i - begin, stop - begin, decay)
            n += 1
    return n, bloom


@njit(forceinline=True)
def _shared(item, begin, stop, mine, bloom, slots, bits, weight):
    """The event of a neighbour whose item is heaviest in the query, the latest of them."""
    shared, heaviest = begin, 0.0
    for i in range(stop - 1, begin - 1, -1):
        if bloom >> (np.uint64(item[i]) & np.uint64(63)) & np.uint64(1):
            k = find_slot(slots, bits, item[i])
            p = slots[k] & NUMBER
            if slots[k] != FREE and p < mine and weight[p] > heaviest:
                shared, heaviest = i, weight[p]
                if heaviest == 1.0:  # none is heavier
                    break
    return shared
