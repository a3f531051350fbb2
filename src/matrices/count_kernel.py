# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Count the votes of co-visitation matrices: the loops that src/matrices/count.py describes.

index: EventIndex. params: KernelParams. outputs: OutputRows. x: the item whose neighbours are
counted. r: number of an accumulator.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top
from src.matrices.event_index_kernel import CODE, ITEM, POSITION, SESSION, TS, TYPE, TYPE_BITS
from src.matrices.kernel_params import FINE_BITS, Floats, Ints
from src.matrices.self_merge import FINE, SCALE

# plain numbers, as numba compiles them to constants
FIRST_ONLY = int(Ints.FIRST_ONLY)
MAX_STEPS, MAX_GAP, AFTER = int(Ints.MAX_STEPS), int(Ints.MAX_GAP), int(Ints.AFTER)
LAST_EVENTS, DEDUPE, PLAIN = int(Ints.LAST_EVENTS), int(Ints.DEDUPE), int(Ints.PLAIN)
DECAYED, NORMED = int(Ints.DECAYED), int(Ints.NORMED)
TIME_WEIGHT, STEP_DECAY = int(Floats.TIME_WEIGHT), int(Floats.STEP_DECAY)
SPAN_FIRST, SPAN_LENGTH = int(Floats.SPAN_FIRST), int(Floats.SPAN_LENGTH)
BACKWARD = int(Floats.BACKWARD)


@njit(cache=True)
def cumulative_work(item_offsets, postings, offsets):
    """Estimate the work of counting items 0 : x, for each x: int64 (items + 1).

    The work of an item is the length of the sessions of its events.
    """
    total = np.zeros(item_offsets.size, np.int64)
    for x in range(item_offsets.size - 1):
        cost = 1
        for q in range(item_offsets[x], item_offsets[x + 1]):
            s = postings[q, SESSION]
            cost += offsets[s + 1] - offsets[s]
        total[x + 1] = total[x] + cost
    return total


@njit(cache=True)
def item_counts(index, ints, item_norm):
    """Count the events of each item for the accumulators with item_norm: int64 (r, items).

    No items where no accumulator needs counts.
    """
    offsets, events, n_items = index.offsets, index.events, index.item_offsets.size - 1
    n_counted = n_items if np.any(item_norm != 0.0) else 0
    item_count = np.zeros((item_norm.size, n_counted), np.int64)
    for r in range(item_norm.size):
        if item_norm[r] != 0.0:
            for s in range(offsets.size - 1):
                first, end = offsets[s], offsets[s + 1]
                for i in range(_first_kept(first, end, events, ints, r), end):
                    item_count[r, events[i, ITEM]] += 1
    return item_count


@njit(cache=True)
def _first_kept(first, end, events, ints, r):
    """Find the first event of session first : end that accumulator r keeps."""
    i = max(first, end - ints[r, LAST_EVENTS])
    while i < end and events[i, TS] <= ints[r, AFTER]:
        i += 1
    return i


@njit(parallel=True, cache=True)
def count_range(index, params, bounds, outputs, sums):
    """Count the neighbours of items bounds[0] : bounds[-1].

    bounds: items of thread t are bounds[t] : bounds[t + 1]. sums: int64 (threads, items,
    accumulators + 1), zeros; the last column marks neighbours with a vote. Returns, by item of the
    range: number of neighbours of each output row; items and weights (items, sum of top_n), where
    each output row has top_n columns.
    """
    top_n, item_norm = outputs.top_n, outputs.item_norm
    low, n = bounds[0], bounds[-1] - bounds[0]
    columns = np.zeros(top_n.size + 1, np.int64)
    columns[1:] = np.cumsum(top_n)
    size = np.zeros((n, top_n.size), np.int64)
    near = np.empty((n, columns[-1]), np.int32)
    weight = np.empty((n, columns[-1]), np.float32)
    for t in prange(bounds.size - 1):
        thread_sums = sums[t]
        session_votes = np.zeros((index.longest, item_norm.size), np.int64)
        touched = np.empty(thread_sums.shape[0], np.int32)
        scaled = np.empty(params.weight.shape[2], np.float64)
        for x in range(bounds[t], bounds[t + 1]):
            n_touched = _walk(index, params, x, thread_sums, session_votes, touched, scaled)
            lists = near[x - low], weight[x - low], size[x - low]
            _keep_top(thread_sums, touched[:n_touched], outputs, columns, x, lists)
    return size, near, weight


@njit(cache=True)
def _walk(index, params, x, sums, session_votes, touched, scaled):
    """Add all votes of item x to its sums; return how many neighbours were touched.

    session_votes: int64 (local items, accumulators), zeros, for the votes of one session.
    scaled: float64 (types), for the weights of one event.
    """
    offsets, events = index.offsets, index.events
    item_offsets, postings = index.item_offsets, index.postings
    ints, floats, weight = params.ints, params.floats, params.weight
    n_touched = 0
    low = high = np.int64(-1)  # events of the session that votes have reached
    for q in range(item_offsets[x], item_offsets[x + 1]):
        i, s = np.int64(postings[q, POSITION]), np.int64(postings[q, SESSION])
        first, end = offsets[s], offsets[s + 1]
        if low < 0:
            low = high = i
        for r in range(ints.shape[0]):
            if not _is_source(events, ints, r, i, first, end):
                continue
            norm = 1.0
            if ints[r, NORMED]:
                norm = math.log(1.0 + np.float64(end - _first_kept(first, end, events, ints, r)))
            if not ints[r, PLAIN]:
                # factors that a row lacks are 1.0; SCALE, a power of 2, changes no bit
                age = (np.int64(events[i, TS]) - floats[r, SPAN_FIRST]) / floats[r, SPAN_LENGTH]
                for k in range(scaled.size):
                    scaled[k] = weight[r, events[i, CODE] & TYPE, k]
                    scaled[k] *= (1.0 + floats[r, TIME_WEIGHT] * age) * SCALE
            for direction in (1, -1):
                room = end - 1 - i
                if direction < 0:
                    if floats[r, BACKWARD] == 0.0:
                        break
                    room = i - max(first, end - ints[r, LAST_EVENTS])
                j = _add(events, params, r, i, direction, room, norm, session_votes, scaled)
                low, high = min(low, j), max(high, j)
        if q + 1 == item_offsets[x + 1] or postings[q + 1, SESSION] != s:
            for r in range(ints.shape[0]):  # no item is its own neighbour
                session_votes[events[i, CODE] >> TYPE_BITS, r] = 0
            for j in range(low, high + 1):
                n_touched = _flush(events, j, sums, session_votes, touched, n_touched)
            low = np.int64(-1)
    return n_touched


@njit(forceinline=True, cache=True)
def _is_source(events, ints, r, i, first, end):
    """Whether event i of session first : end may be event x of a pair."""
    after, last_events = ints[r, AFTER], ints[r, LAST_EVENTS]
    if events[i, TS] <= after or end - 1 - i >= last_events:
        return False
    if not ints[r, FIRST_ONLY]:
        return True
    return i == first or events[i - 1, TS] <= after or end - i >= last_events


@njit(forceinline=True, cache=True)
def _add(events, params, r, i, direction, room, norm, session_votes, scaled):
    """Add the votes for the events after event i (direction 1) or before (-1).

    room: events in that direction. norm: divides every vote. Returns the farthest event. Products
    are in the order of `self_merge.vote`, for the same bits.
    """
    ints, floats, votes = params.ints, params.floats, params.votes
    coarse, fine = params.decay_coarse, params.decay_fine
    max_gap, after, dedupe = ints[r, MAX_GAP], ints[r, AFTER], ints[r, DEDUPE]
    plain, decayed, decay = ints[r, PLAIN], ints[r, DECAYED], floats[r, STEP_DECAY]
    backward = floats[r, BACKWARD]
    ts_i, type_i = np.int64(events[i, TS]), events[i, CODE] & TYPE
    j = i
    for steps in range(1, min(room, ints[r, MAX_STEPS]) + 1):
        ts_j = np.int64(events[i + direction * steps, TS])
        gap = abs(ts_j - ts_i)
        if gap >= max_gap or ts_j <= after:
            break
        j = i + direction * steps
        local, type_j = events[j, CODE] >> TYPE_BITS, events[j, CODE] & TYPE
        if plain:
            vote = votes[r, type_i, type_j]
        else:
            w = scaled[type_j]
            if w == 0.0:
                continue
            if direction < 0 and backward != 1.0:
                w *= backward
            if decayed:
                w *= coarse[r, gap >> FINE_BITS] * fine[r, gap & (FINE - 1)]
            if decay != 1.0:
                w *= decay ** np.float64(steps - 1)
            if norm != 1.0:
                w /= norm
            vote = np.int64(w + 0.5)  # truncates, which is the floor as no weight is negative
        if not dedupe:
            session_votes[local, r] += vote
        elif vote > session_votes[local, r]:
            session_votes[local, r] = vote
    return j


@njit(forceinline=True, cache=True)
def _flush(events, j, sums, session_votes, touched, n_touched):
    """Move the session's votes for the item of event j into the sums; return n_touched."""
    local, y = events[j, CODE] >> TYPE_BITS, events[j, ITEM]
    n_accumulators = session_votes.shape[1]
    voted = np.int64(0)
    for r in range(n_accumulators):
        voted |= session_votes[local, r]
    if voted != 0:
        if sums[y, n_accumulators] == 0:
            sums[y, n_accumulators] = 1
            touched[n_touched] = y
            n_touched += 1
        for r in range(n_accumulators):
            sums[y, r] += session_votes[local, r]
            session_votes[local, r] = 0
    return n_touched


@njit(cache=True)
def _keep_top(sums, touched, outputs, columns, x, lists):
    """Move the heaviest sums into the lists of item x, ties by item id, and clear the sums.

    columns: an output row has columns[row] : columns[row + 1] of the lists.
    """
    accumulator, item_norm, item_count = outputs.accumulator, outputs.item_norm, outputs.item_count
    near, weight, size = lists
    n_accumulators = sums.shape[1] - 1
    for y in touched:
        for row in range(accumulator.size):
            r = accumulator[row]
            if sums[y, r] > 0:
                total = np.float64(sums[y, r]) / SCALE
                if item_norm[r] != 0.0:
                    product = np.float64(item_count[r, x]) * np.float64(item_count[r, y])
                    total /= product ** item_norm[r]
                w = np.float32(total)
                first, end = columns[row], columns[row + 1]
                size[row] = insert_top(near[first:end], weight[first:end], size[row], y, w)
        for r in range(n_accumulators + 1):
            sums[y, r] = 0


@njit(cache=True)
def pack_output(size, near, weight, column):
    """Pack the lists of one output row, which begin at `column`: items and weights as CSR rows."""
    n = size.sum()
    packed_item = np.empty(n, np.int32)
    packed_weight = np.empty(n, np.float32)
    i = 0
    for x in range(size.size):
        for k in range(column, column + size[x]):
            packed_item[i] = near[x, k]
            packed_weight[i] = weight[x, k]
            i += 1
    return packed_item, packed_weight
