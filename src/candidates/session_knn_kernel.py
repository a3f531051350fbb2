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

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from src.core.topk_kernel import insert_top
from src.data.events_kernel import BEGIN, LAST, SIZE

FREE = -1  # a slot of the hash table; a taken one holds id << 32 | place
PLACE = 0xFFFFFFFF
BINS = 256
LINE = 16  # items of a cache line


@intrinsic
def prefetch(typing, array, index):
    """Ask for array[index] to be in the cache soon; any index will do."""

    def code(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), cgutils.voidptr_t)
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [address, word(0), word(3), word(1)])  # to read, keep close, data
        return context.get_dummy_value()

    return types.void(array, types.intp), code


@njit(cache=True)
def most_met(offsets, item, starts, first, end):
    """At least as many as the sessions that any query of first : end meets."""
    most = 0
    for q in range(first, end):
        most = max(most, _holders_of(item, offsets[q], offsets[q + 1], starts))
    return most


@njit(parallel=True, cache=True, error_model="numpy", nogil=True)
def knn_lists(sessions, first, end, holders, idf, numbers, fade, room, n_threads, top):
    """Lists of the queries first : end.

    sessions: offsets, item and ts; holders: CSR of `latest_sessions`; idf: weight per item (empty:
    all weigh 1); numbers: neighbours, query_decay, recency_days; fade: weight by distance to the
    shared item, not growing, none beyond (empty: all weigh 1); room: sessions that a query meets,
    and different items of a query and its neighbours, both at most.
    """
    offsets, item, ts = sessions
    starts, entries = holders
    n_queries = end - first
    list_item = np.full((n_queries, top), -1, np.int32)
    list_score = np.zeros((n_queries, top), np.float32)
    for t in prange(n_threads):
        slots = np.empty(1 << _bits(max(room[0], room[1])), np.int64)
        met, alike = np.empty((room[0], 3), np.int32), np.empty(room[0], np.float64)
        value, keys = np.empty(room[0], np.float32), np.empty(room[0], np.uint64)
        candidate, giver = np.empty(room[1], np.int32), np.empty(room[1], np.int32)
        total, loud = np.empty(room[1], np.float32), np.empty(room[1], np.float64)
        bins = np.empty(BINS, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            begin, stop = offsets[first + q], offsets[first + q + 1]
            bits = _clear(slots, min(_holders_of(item, begin, stop, starts), room[0]))
            n_met = _meet(item, begin, stop, starts, entries, numbers[1], slots, bits, met, alike)
            _compare(met, alike, value, n_met, stop - begin, ts[stop - 1], numbers[2])
            least = np.uint64(0)
            if n_met > numbers[0]:
                least = _nth(value, met, n_met, np.int64(numbers[0]), bins, keys)
            n_near, events = _keep(item, met, alike, value, n_met, least)
            bits = _clear(slots, min(events + stop - begin, room[1]))
            n, bloom = _own(
                item, begin, stop, numbers[1], slots, bits, candidate, giver, total, loud
            )
            mine = n
            for m in range(n_near):
                a, b, v, me = met[m, BEGIN], met[m, BEGIN] + met[m, SIZE], alike[m], m + 1
                shared, steps = a, b - a
                if fade.size > 0:
                    shared = _shared(item, a, b, mine, bloom, slots, bits, loud)
                    steps = 2 * min(max(shared - a, b - 1 - shared), fade.size - 1) + 1
                for step in range(steps):  # each item once: by the event nearest to the shared one
                    i, v = a + step, alike[m]
                    if fade.size > 0:
                        distance = (step + 1) >> 1
                        i = shared - distance if step & 1 else shared + distance
                        if i < a or i >= b:
                            continue
                        v *= fade[distance]
                    k = _slot(slots, bits, item[i])
                    if slots[k] == FREE:
                        slots[k] = np.int64(item[i]) << 32 | n
                        prefetch(idf, item[i])  # type: ignore[call-arg]
                        candidate[n], giver[n], total[n] = item[i], me, v
                        n += 1
                    else:
                        p = np.uint64(slots[k] & PLACE)
                        if giver[p] != me:
                            giver[p] = me
                            total[p] += v
            listed, row, row_score = 0, list_item[q], list_score[q]
            for j in range(n):
                score = np.float32(total[j] * idf[candidate[j]]) if idf.size > 0 else total[j]
                if score > 0.0:
                    listed = insert_top(row, row_score, listed, candidate[j], score)
    return list_item, list_score


@njit(forceinline=True)
def _holders_of(item, begin, stop, starts):
    n = 0
    for i in range(begin, stop):
        n += starts[item[i] + 1] - starts[item[i]]
    return n


@njit(forceinline=True)
def _bits(entries):
    """So many bits that a table of 2 ** bits slots is at most half full."""
    bits = 4
    while 1 << bits < 2 * entries:
        bits += 1
    return bits


@njit(forceinline=True)
def _clear(slots, entries):
    bits = _bits(entries)
    for k in range(1 << bits):
        slots[k] = FREE
    return bits


@njit(forceinline=True)
def _slot(slots, bits, x):
    """Where id x is, or would be put."""
    x = np.int64(x)
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    k = (np.uint64(x) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)
    slot = slots[k]
    while slot != FREE and slot >> 32 != x:
        k = (k + np.uint64(1)) & mask
        slot = slots[k]
    return k


@njit(forceinline=True)
def _loud(position, size, decay):
    """Weight of a query event: exp(-events back / decay), or linear in position."""
    return math.exp(-(size - 1 - position) / decay) if decay > 0.0 else (position + 1) / size


@njit(forceinline=True, error_model="numpy")
def _meet(item, begin, stop, starts, entries, decay, slots, bits, met, alike):
    """Add up shared query weights per session; returns how many sessions were met.

    An item weighs as its latest event. A session is known by its first event.
    """
    n_met = 0
    for i in range(stop - 1, begin - 1, -1):
        x = item[i]
        repeated = False
        for j in range(i + 1, stop):
            repeated |= item[j] == x
        weight = _loud(i - begin, stop - begin, decay)
        if repeated or weight == 0.0:
            continue
        for h in range(starts[x], starts[x + 1]):
            s = np.int64(entries[h, BEGIN])
            if s != begin:
                k = _slot(slots, bits, s)
                if slots[k] == FREE:
                    slots[k] = s << 32 | n_met
                    met[n_met, BEGIN] = s
                    met[n_met, SIZE] = entries[h, SIZE]
                    met[n_met, LAST] = entries[h, LAST]
                    alike[n_met] = weight
                    n_met += 1
                else:
                    alike[slots[k] & PLACE] += weight
    return n_met


@njit(forceinline=True, error_model="numpy")
def _compare(met, alike, value, n_met, size, last, recency_days):
    """Make the shared weights similarities; `value`: the same in float32, to choose by."""
    for m in range(n_met):
        alike[m] /= math.sqrt(np.float64(met[m, SIZE]) * size)
    if recency_days > 0.0:
        for m in range(n_met):
            days = abs(np.float64(last) - met[m, LAST]) / 86400.0
            alike[m] *= math.exp(-days / recency_days)
    for m in range(n_met):
        value[m] = alike[m]


@njit(forceinline=True)
def _key(bits, met, m):
    """Orders by similarity, then by session, so that the later of two equal ones wins."""
    return np.uint64(bits[m]) << np.uint64(32) | np.uint64(met[m, BEGIN])


@njit(forceinline=True)
def _nth(value, met, n_met, n, bins, keys):
    """The n-th largest key: bins of a 1/64 octave say which few have to be sorted."""
    bits = value.view(np.uint32)  # floats that are not negative are in the order of their bits
    most = np.uint32(0)
    for m in range(n_met):
        most = max(most, bits[m])
    bins[:] = 0
    for m in range(n_met):
        bins[min((most - bits[m]) >> np.uint32(17), np.uint32(BINS - 1))] += 1
    b = above = 0
    while above + bins[b] < n:
        above += bins[b]
        b += 1
    k = 0
    for m in range(n_met):
        if min((most - bits[m]) >> np.uint32(17), np.uint32(BINS - 1)) == b:
            keys[k] = _key(bits, met, m)
            k += 1
    return np.partition(keys[:k], k - (n - above))[k - (n - above)]


@njit(forceinline=True)
def _keep(item, met, alike, value, n_met, least):
    """Close up the sessions from a key on, ask for their items; how many, and their events."""
    bits = value.view(np.uint32)
    n_near = events = 0
    for m in range(n_met):
        if _key(bits, met, m) >= least:
            begin, size = met[m, BEGIN], met[m, SIZE]
            met[n_near, BEGIN], met[n_near, SIZE], alike[n_near] = begin, size, alike[m]
            n_near += 1
            events += size
            for i in range(begin, begin + size, LINE):
                prefetch(item, i)  # type: ignore[call-arg]
    return n_near, events


@njit(forceinline=True, error_model="numpy")
def _own(item, begin, stop, decay, slots, bits, candidate, giver, total, loud):
    """Put the query's items into the table, with their weights; how many, and a Bloom filter."""
    n, bloom = 0, np.uint64(0)
    for i in range(stop - 1, begin - 1, -1):
        bloom |= np.uint64(1) << (np.uint64(item[i]) & np.uint64(63))
        k = _slot(slots, bits, item[i])
        if slots[k] == FREE:
            slots[k] = np.int64(item[i]) << 32 | n
            candidate[n], giver[n], total[n] = item[i], 0, 0.0
            loud[n] = _loud(i - begin, stop - begin, decay)
            n += 1
    return n, bloom


@njit(forceinline=True)
def _shared(item, begin, stop, mine, bloom, slots, bits, loud):
    """The event of a neighbour whose item is loudest in the query, the latest of them."""
    shared, loudest = begin, 0.0
    for i in range(stop - 1, begin - 1, -1):
        if bloom >> (np.uint64(item[i]) & np.uint64(63)) & np.uint64(1):
            k = _slot(slots, bits, item[i])
            p = slots[k] & PLACE
            if slots[k] != FREE and p < mine and loud[p] > loudest:
                shared, loudest = i, loud[p]
                if loudest == 1.0:  # none is louder
                    break
    return shared
