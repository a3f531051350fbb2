# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""List items of the sessions most similar to the query (session-kNN).

V-SKNN: Ludewig and Jannach, "Evaluation of Session-based Recommendation Algorithms", UMUAI 2018.
STAN: Garg et al., "Sequence and Time Aware Neighborhood for Session-based Recommendations",
SIGIR 2019. One loop computes both, with different decays. They weight a query event by its position
from the end, a neighbour by its age, and its items by the distance to the shared item.

A query is compared with some thousand sessions, and then some thousand items, out of millions. A
hash table of these fits the CPU cache; arrays over all sessions and items do not. Helpers have no
early return, as numba then counts references to all their arrays in the innermost loop.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from src.candidates.similar_sessions_kernel import (
    BINS,
    compare,
    keep_nearest,
    nearest_in_time,
    nth_largest,
)
from src.core.arrays import I32, I64
from src.core.hash_kernel import FREE, NUMBER, clear_table, find_slot, prefetch, table_bits
from src.core.topk_kernel import insert_top
from src.data.events_kernel import BEGIN, LAST, SIZE


class Events(NamedTuple):
    """Events of all sessions, as CSR."""

    offsets: I64
    item: I32
    ts: I32


class Postings(NamedTuple):
    """Sessions of each item as CSR; those of one item are in none.

    Those that end last come first (`latest_sessions`). Or with the second from which each has the
    item and another one, by that second (`sessions_by_second`): then a query sees what sessions
    held before its last event.
    """

    offsets: I64
    entries: I32  # (n, 3): columns BEGIN, SIZE, LAST
    met_at: I32  # (n); empty: sessions are seen as they are, later events included
    begun_at: I32  # with met_at: seconds at which all sessions have two items, ascending


class Settings(NamedTuple):
    """Settings of a retriever, and sizes of the arrays for a query."""

    neighbours: float
    query_decay: float
    recency_days: float
    sample_size: int  # postings of an item that are compared: the nearest in time to the query
    idf: bool  # with met_at: weight items by the sessions before the query
    max_sessions: int  # that share an item with a query
    max_items: int  # different items of a query and its neighbours


@njit(cache=True)
def max_postings(offsets, item, posting_offsets, sample_size, first, end):
    """Return the largest sum of compared postings of a query in first : end, over all its events.

    A query is compared with at most as many sessions.
    """
    largest = 0
    for q in range(first, end):
        n = _n_postings(item, offsets[q], offsets[q + 1], posting_offsets, sample_size)
        largest = max(largest, n)
    return largest


@njit(parallel=True, cache=True, error_model="numpy", nogil=True)
def knn_lists(events, first, end, own, postings, idf, distance_decay, settings, n_threads, top):
    """List items for sessions first : end: item, score (queries, top).

    own: BEGIN of each query's own session, which is no neighbour of it. idf: weight of each item;
    empty for 1, or with met_at. distance_decay: weight by distance to the shared item, which does
    not grow, and 0 beyond its end; empty for 1.
    """
    offsets, item, ts = events.offsets, events.item, events.ts
    posting_offsets, sample_size = postings.offsets, settings.sample_size
    max_sessions, max_items = settings.max_sessions, settings.max_items
    decay, n_queries = settings.query_decay, end - first
    list_item = np.full((n_queries, top), -1, np.int32)
    list_score = np.zeros((n_queries, top), np.float32)
    for t in prange(n_threads):
        slots = np.empty(1 << table_bits(max(max_sessions, max_items)), np.int64)
        met, similarity = np.empty((max_sessions, 3), np.int32), np.empty(max_sessions, np.float64)
        value, keys = np.empty(max_sessions, np.float32), np.empty(max_sessions, np.uint64)
        # last_neighbour: the neighbour that added to a candidate last, from 1
        candidate, last_neighbour = np.empty(max_items, np.int32), np.empty(max_items, np.int32)
        total, weight = np.empty(max_items, np.float32), np.empty(max_items, np.float64)
        bins = np.empty(BINS, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            begin, stop = offsets[first + q], offsets[first + q + 1]
            n_postings = _n_postings(item, begin, stop, posting_offsets, sample_size)
            bits = clear_table(slots, min(n_postings, max_sessions))
            n_met = _meet(
                events, begin, stop, own[q], postings, settings, slots, bits, met, similarity
            )
            compare(
                met, similarity, value, n_met, stop - begin, ts[stop - 1], settings.recency_days
            )
            least = np.uint64(0)
            if n_met > settings.neighbours:
                least = nth_largest(value, met, n_met, np.int64(settings.neighbours), bins, keys)
            n_near, n_events = keep_nearest(item, met, similarity, value, n_met, least)
            bits = clear_table(slots, min(n_events + stop - begin, max_items))
            n, bloom = _insert_query_items(
                item, begin, stop, decay, slots, bits, candidate, last_neighbour, total, weight
            )
            n_query_items = n
            for m in range(n_near):
                a, b, neighbour = met[m, BEGIN], met[m, BEGIN] + met[m, SIZE], m + 1
                shared, steps = a, b - a
                if distance_decay.size > 0:
                    shared = _shared_event(item, a, b, n_query_items, bloom, slots, bits, weight)
                    steps = 2 * min(max(shared - a, b - 1 - shared), distance_decay.size - 1) + 1
                for step in range(steps):  # outwards from the shared event
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
                        candidate[n], last_neighbour[n], total[n] = item[i], neighbour, v
                        n += 1
                    else:
                        p = np.uint64(slots[k] & NUMBER)
                        if last_neighbour[p] != neighbour:  # an item counts once per neighbour
                            last_neighbour[p] = neighbour
                            total[p] += v
            listed, row, row_score = 0, list_item[q], list_score[q]
            for j in range(n):
                score = np.float32(total[j] * idf[candidate[j]]) if idf.size > 0 else total[j]
                if settings.idf:
                    score *= np.float32(_idf_before(postings, candidate[j], ts[stop - 1]))
                if score > 0.0:
                    listed = insert_top(row, row_score, listed, candidate[j], score)
    return list_item, list_score


@njit(forceinline=True)
def _n_postings(item, begin, stop, posting_offsets, sample_size):
    """Sum the postings of events begin : stop that are compared."""
    n = 0
    for i in range(begin, stop):
        n += min(posting_offsets[item[i] + 1] - posting_offsets[item[i]], sample_size)
    return n


@njit(forceinline=True)
def _idf_before(postings, x, now):
    """Return ln(sessions / sessions with item x), of what they held before second `now`."""
    low, high = postings.offsets[x], postings.offsets[x + 1]
    count = np.searchsorted(postings.met_at[low:high], now)
    return math.log(max(np.searchsorted(postings.begun_at, now), 2) / max(count, 1))


@njit(forceinline=True)
def _query_weight(position, size, decay):
    """Weight a query event by exp(-later events / decay), or linearly by position."""
    return math.exp(-(size - 1 - position) / decay) if decay > 0.0 else (position + 1) / size


@njit(forceinline=True, error_model="numpy")
def _meet(events, begin, stop, own, postings, settings, slots, bits, met, similarity):
    """Sum the query weights of shared items per session but `own`; return the number of sessions.

    met: BEGIN, SIZE and LAST of each session; its first event identifies a session. similarity: the
    sum. An item has the weight of its latest event in the query.
    """
    item, ts, decay = events.item, events.ts, settings.query_decay
    posting_offsets, entries, met_at = postings.offsets, postings.entries, postings.met_at
    n_met, now = 0, ts[stop - 1] if stop > begin else 0
    for i in range(stop - 1, begin - 1, -1):
        x = item[i]
        repeated = False
        for j in range(i + 1, stop):
            repeated |= item[j] == x
        weight = _query_weight(i - begin, stop - begin, decay)
        if repeated or weight == 0.0:
            continue
        low, high = posting_offsets[x], posting_offsets[x + 1]
        if met_at.size > 0:
            high = low + np.searchsorted(met_at[low:high], now)
            low = max(low, high - settings.sample_size)
        else:
            low = nearest_in_time(entries, low, high, now, settings.sample_size)
            high = min(high, low + settings.sample_size)
        for h in range(low, high):
            s = np.int64(entries[h, BEGIN])
            if s != own:
                k = find_slot(slots, bits, s)
                if slots[k] == FREE:
                    slots[k] = s << 32 | n_met
                    size, last = entries[h, SIZE], entries[h, LAST]
                    if last >= now and met_at.size > 0:
                        size = np.searchsorted(ts[s : s + size], now)
                        last = ts[s + size - 1]
                    met[n_met, BEGIN], met[n_met, SIZE], met[n_met, LAST] = s, size, last
                    similarity[n_met] = weight
                    n_met += 1
                else:
                    similarity[slots[k] & NUMBER] += weight
    return n_met


@njit(forceinline=True, error_model="numpy")
def _insert_query_items(
    item, begin, stop, decay, slots, bits, candidate, last_neighbour, total, weight
):
    """Put the query's items into the table; return their number and a Bloom filter of them.

    Their totals are 0. An item has the weight of its latest event.
    """
    n, bloom = 0, np.uint64(0)
    for i in range(stop - 1, begin - 1, -1):
        bloom |= np.uint64(1) << (np.uint64(item[i]) & np.uint64(63))
        k = find_slot(slots, bits, item[i])
        if slots[k] == FREE:
            slots[k] = np.int64(item[i]) << 32 | n
            candidate[n], last_neighbour[n], total[n] = item[i], 0, 0.0
            weight[n] = _query_weight(i - begin, stop - begin, decay)
            n += 1
    return n, bloom


@njit(forceinline=True)
def _shared_event(item, begin, stop, n_query_items, bloom, slots, bits, weight):
    """Find the event of a neighbour whose item weighs most in the query; the latest where equal."""
    shared, heaviest = begin, 0.0
    for i in range(stop - 1, begin - 1, -1):
        if bloom >> (np.uint64(item[i]) & np.uint64(63)) & np.uint64(1):
            k = find_slot(slots, bits, item[i])
            p = slots[k] & NUMBER
            if slots[k] != FREE and p < n_query_items and weight[p] > heaviest:
                shared, heaviest = i, weight[p]
                if heaviest == 1.0:  # none is heavier
                    break
    return shared
