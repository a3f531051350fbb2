# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Count the votes of matrix rows: the loops of src/matrices/count.py, which says how they work.

index: an EventIndex; params: KernelParams; keep: a Keep; x: the item at hand; r: a row.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.matrices.event_index_kernel import CODE, ITEM, POSITION, SESSION, TS, TYPE
from src.matrices.kernel_params import FINE_BITS, Floats, Ints
from src.matrices.self_merge import FINE, SCALE

# numba takes plain constants at no cost
FORWARD, FIRST_ONLY = int(Ints.FORWARD), int(Ints.FIRST_ONLY)
MAX_STEPS, MAX_GAP, OLDEST = int(Ints.MAX_STEPS), int(Ints.MAX_GAP), int(Ints.OLDEST)
LAST_EVENTS, DEDUPE, PLAIN = int(Ints.LAST_EVENTS), int(Ints.DEDUPE), int(Ints.PLAIN)
DECAYED, NORMED = int(Ints.DECAYED), int(Ints.NORMED)
TIME_WEIGHT, STEP_DECAY = int(Floats.TIME_WEIGHT), int(Floats.STEP_DECAY)
SPAN_FIRST, SPAN_LENGTH = int(Floats.SPAN_FIRST), int(Floats.SPAN_LENGTH)


@njit(cache=True)
def cumulative_work(item_offsets, postings, offsets):
    """Sum session lengths over the events of each item, cumulated: what a walk costs, about."""
    total = np.zeros(item_offsets.size, np.int64)
    for x in range(item_offsets.size - 1):
        cost = 1
        for q in range(item_offsets[x], item_offsets[x + 1]):
            s = postings[q, SESSION]
            cost += offsets[s + 1] - offsets[s]
        total[x + 1] = total[x] + cost
    return total


@njit(cache=True)
def item_counts(index, ints, norms):
    """Events of each item that a row keeps, for the rows that divide by it; (rows, items)."""
    offsets, events, item_offsets = index.offsets, index.events, index.item_offsets
    counts = np.zeros((norms.size, item_offsets.size - 1 if np.any(norms != 0.0) else 0), np.int64)
    for r in range(norms.size):
        if norms[r] != 0.0:
            for s in range(offsets.size - 1):
                for i in range(_head(offsets[s], offsets[s + 1], events, ints, r), offsets[s + 1]):
                    counts[r, events[i, ITEM]] += 1
    return counts


@njit(cache=True)
def _head(first, end, events, ints, r):
    """Position of the first event of a session that row r keeps."""
    i = max(first, end - ints[r, LAST_EVENTS])
    while i < end and events[i, TS] <= ints[r, OLDEST]:
        i += 1
    return i


@njit(parallel=True, cache=True)
def count_range(index, params, bounds, keep, sums):
    """Neighbours of the items bounds[0] : bounds[-1], one stretch of them per thread.

    sums (threads, items, rows + 1): votes of the item at hand; the last column marks the touched.
    """
    tops, norms = keep.tops, keep.norms
    low, n = bounds[0], bounds[-1] - bounds[0]
    columns = np.zeros(tops.size + 1, np.int64)
    columns[1:] = np.cumsum(tops)
    size = np.zeros((n, tops.size), np.int64)
    near = np.empty((n, columns[-1]), np.int32)
    weight = np.empty((n, columns[-1]), np.float32)
    for t in prange(bounds.size - 1):
        mine = sums[t]
        best = np.zeros((index.longest, norms.size), np.int64)
        touched = np.empty(mine.shape[0], np.int32)
        scaled = np.empty(params.weight.shape[2], np.float64)
        for x in range(bounds[t], bounds[t + 1]):
            n_touched = _walk(index, params, x, mine, best, touched, scaled)
            to = near[x - low], weight[x - low], size[x - low]
            _keep_top(mine, touched[:n_touched], keep, columns, x, to)
    return size, near, weight


@njit(cache=True)
def _walk(index, params, x, sums, best, touched, scaled):
    """Add all votes of item x; returns how many neighbours were touched.

    best (places, rows): the votes of the session at hand.
    """
    offsets, events = index.offsets, index.events
    item_offsets, postings = index.item_offsets, index.postings
    ints, floats, weight = params.ints, params.floats, params.weight
    n_touched = 0
    low = high = np.int64(-1)  # the stretch of the session that voted
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
                norm = math.log(1.0 + np.float64(end - _head(first, end, events, ints, r)))
            if not ints[r, PLAIN]:
                # factors that a row does not have are 1.0, and scaling by SCALE changes no bit
                age = (np.int64(events[i, TS]) - floats[r, SPAN_FIRST]) / floats[r, SPAN_LENGTH]
                for k in range(scaled.size):
                    scaled[k] = weight[r, events[i, CODE] & TYPE, k]
                    scaled[k] *= (1.0 + floats[r, TIME_WEIGHT] * age) * SCALE
            for step in (1, -1):
                room = end - 1 - i
                if step < 0:
                    if ints[r, FORWARD]:
                        break
                    room = i - max(first, end - ints[r, LAST_EVENTS])
                j = _add(events, params, r, i, step, room, norm, best, scaled)
                low, high = min(low, j), max(high, j)
        if q + 1 == item_offsets[x + 1] or postings[q + 1, SESSION] != s:
            for r in range(ints.shape[0]):  # no item is its own neighbour
                best[events[i, CODE] >> 7, r] = 0
            for j in range(low, high + 1):
                n_touched = _flush(events, j, sums, best, touched, n_touched)
            low = np.int64(-1)
    return n_touched


@njit(forceinline=True, cache=True)
def _is_source(events, ints, r, i, first, end):
    """Whether row r takes event i as the source x of pairs."""
    oldest, last_events = ints[r, OLDEST], ints[r, LAST_EVENTS]
    if events[i, TS] <= oldest or end - 1 - i >= last_events:
        return False
    if not ints[r, FIRST_ONLY]:
        return True
    return i == first or events[i - 1, TS] <= oldest or end - i >= last_events


@njit(forceinline=True, cache=True)
def _add(events, params, r, i, step, room, norm, best, scaled):
    """Gather the votes for what comes after event i (step 1) or before (-1); the last one's place.

    The order of the products is that of self_merge.vote.
    """
    ints, floats, votes = params.ints, params.floats, params.votes
    coarse, fine = params.decay_coarse, params.decay_fine
    max_gap, oldest, dedupe = ints[r, MAX_GAP], ints[r, OLDEST], ints[r, DEDUPE]
    plain, decayed, decay = ints[r, PLAIN], ints[r, DECAYED], floats[r, STEP_DECAY]
    now, kind = np.int64(events[i, TS]), events[i, CODE] & TYPE
    j = i
    for apart in range(1, min(room, ints[r, MAX_STEPS]) + 1):
        then = np.int64(events[i + step * apart, TS])
        gap = abs(then - now)
        if gap >= max_gap or then <= oldest:
            break
        j = i + step * apart
        place, other = events[j, CODE] >> 7, events[j, CODE] & TYPE
        if plain:
            vote = votes[r, kind, other]
        else:
            w = scaled[other]
            if w == 0.0:
                continue
            if decayed:
                w *= coarse[r, gap >> FINE_BITS] * fine[r, gap & (FINE - 1)]
            if decay != 1.0:
                w *= decay ** np.float64(apart - 1)
            if norm != 1.0:
                w /= norm
            vote = np.int64(w + 0.5)  # no weight is negative: this is the floor
        if not dedupe:
            best[place, r] += vote
        elif vote > best[place, r]:
            best[place, r] = vote
    return j


@njit(forceinline=True, cache=True)
def _flush(events, j, sums, best, touched, n_touched):
    """Move the session's votes for the item of event j into the sums."""
    place, y = events[j, CODE] >> 7, events[j, ITEM]
    n_rows = best.shape[1]
    voted = np.int64(0)
    for r in range(n_rows):
        voted |= best[place, r]
    if voted != 0:
        if sums[y, n_rows] == 0:
            sums[y, n_rows] = 1
            touched[n_touched] = y
            n_touched += 1
        for r in range(n_rows):
            sums[y, r] += best[place, r]
            best[place, r] = 0
    return n_touched


@njit(cache=True)
def _keep_top(sums, touched, keep, columns, x, to):
    """Move the heaviest sums of every row into place (ties by item id) and clear the sums."""
    kind_of, tops, norms, counts = keep.kind_of, keep.tops, keep.norms, keep.counts
    near, weight, size = to
    n_kinds = sums.shape[1] - 1
    for y in touched:
        for r in range(tops.size):
            k = kind_of[r]
            if sums[y, k] > 0:
                total = np.float64(sums[y, k]) / SCALE
                if norms[k] != 0.0:
                    total /= (np.float64(counts[k, x]) * np.float64(counts[k, y])) ** norms[k]
                first = columns[r]
                size[r] = _insert(near, weight, first, size[r], tops[r], y, np.float32(total))
        for k in range(n_kinds + 1):
            sums[y, k] = 0


@njit(forceinline=True, cache=True)
def _insert(near, weight, first, n, top, y, w):
    """Put y into the sorted stretch of n items that begins at `first`; returns the new n."""
    last = first + n - 1
    if n == top:
        if w < weight[last] or (w == weight[last] and y > near[last]):
            return n
        last -= 1
    i = last + 1
    while i > first and (weight[i - 1] < w or (weight[i - 1] == w and near[i - 1] > y)):
        near[i] = near[i - 1]
        weight[i] = weight[i - 1]
        i -= 1
    near[i] = y
    weight[i] = w
    return last + 2 - first


@njit(cache=True)
def pack_row(size, near, weight, begin):
    n = size.sum()
    item = np.empty(n, np.int32)
    value = np.empty(n, np.float32)
    at = 0
    for x in range(size.size):
        for k in range(size[x]):
            item[at] = near[x, begin + k]
            value[at] = weight[x, begin + k]
            at += 1
    return item, value
