# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Matrix rows on the CPU: row-wise sparse products over one inverted index (Gustavson, 1978).

For each item x: walk its events, walk their sessions outwards from each event, gather the votes of
the session by place (in the cache), add them into a dense accumulator, keep the top neighbours. All
rows that look at the same event types are counted in one such walk. No pair is ever written out:
memory is the events, one index of them, and per thread one accumulator (items x rows).
`src/matrices/definition.py` defines what the result is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from src.core.arrays import I64
from src.matrices import params as v
from src.matrices.definition import NEAR, SCALE, Span
from src.matrices.index_kernel import AID, CODE, KIND, POSITION, SESSION, TS, View
from src.matrices.neighbours import Neighbours
from src.matrices.rows import CovisitationMatrix

RANGE = 2**14
"""Items whose neighbours are found, packed and handed out at a time."""


def row_bytes(n_items: int, threads: int) -> int:
    """Memory that one more row takes in a walk: its accumulators, and its range of neighbours."""
    return 8 * n_items * threads + 2 * 8 * RANGE * 100


def count(
    view: View, rows: list[CovisitationMatrix], span: Span
) -> Iterator[tuple[int, list[Neighbours]]]:
    """The matrices of rows with the same types, one range of items after the other.

    Yields the first item of the range, and per row the neighbours of the range's items.
    """
    kinds = list(dict.fromkeys(_kind(row) for row in rows))  # rows that differ in top_n share all
    tops = np.array([row.top_n for row in rows])
    rules, norms = tuple(v.rules_of(kinds, span)), np.array([row.item_norm for row in kinds])
    counts = _item_counts(tuple_of(view), rules[0], norms)
    keep = (np.array([kinds.index(_kind(row)) for row in rows]), tops, norms, counts)
    n_threads, n = get_num_threads(), view.n_items
    # made here: numpy asks for huge pages, numba does not
    sums = np.zeros((n_threads, n, len(kinds) + 1), np.int64)
    work = _work(view.starts, view.seen, view.offsets)
    for low in range(0, n, RANGE):
        bounds = _even_bounds(work, low, min(low + RANGE, n), n_threads)
        found = _count(tuple_of(view), rules, bounds, keep, sums, view.longest)
        yield low, [_packed(found, r, tops) for r in range(len(rows))]


def whole(view: View, row: CovisitationMatrix, span: Span) -> Neighbours:
    """The matrix of one row, all ranges together."""
    parts = [part for _, (part,) in count(view, [row], span)]
    sizes = np.concatenate([np.diff(p.offsets) for p in parts])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    item, weight = (np.concatenate([getattr(p, a) for p in parts]) for a in ("item", "weight"))
    return Neighbours(offsets, item, weight)


def tuple_of(view: View) -> tuple[NDArray, ...]:
    """The arrays of a view as numba takes them."""
    return (view.offsets, view.events, view.starts, view.seen)


def _kind(row: CovisitationMatrix) -> CovisitationMatrix:
    return replace(row, name="", top_n=1)


@njit(cache=True)
def _work(starts, seen, offsets):
    """Running total of session lengths over each item's events: what a walk costs, about."""
    total = np.zeros(starts.size, np.int64)
    for x in range(starts.size - 1):
        cost = 1
        for q in range(starts[x], starts[x + 1]):
            s = seen[q, SESSION]
            cost += offsets[s + 1] - offsets[s]
        total[x + 1] = total[x] + cost
    return total


def _even_bounds(work: I64, low: int, high: int, parts: int) -> I64:
    """Cut items low : high into parts of equal work."""
    cuts = work[low] + (work[high] - work[low]) * np.arange(1, parts) // parts
    inner = np.clip(np.searchsorted(work, cuts), low, high)
    return np.concatenate([[low], inner, [high]]).astype(np.int64)


@njit(cache=True)
def _item_counts(view, whole, norms):
    """Events of each item that a row keeps, for the rows that divide by it; (rows, items)."""
    offsets, events, starts, _ = view
    counts = np.zeros((norms.size, starts.size - 1 if np.any(norms != 0.0) else 0), np.int64)
    for r in range(norms.size):
        if norms[r] != 0.0:
            for s in range(offsets.size - 1):
                for i in range(_head(offsets[s], offsets[s + 1], events, whole, r), offsets[s + 1]):
                    counts[r, events[i, AID]] += 1
    return counts


@njit(cache=True)
def _head(first, end, events, whole, r):
    """Position of the first event of a session that row r keeps."""
    i = max(first, end - whole[r, v.TAIL])
    while i < end and events[i, TS] <= whole[r, v.OLDEST]:
        i += 1
    return i


@njit(parallel=True, cache=True)
def _count(view, rules, bounds, keep, sums, longest):
    """Neighbours of the items bounds[0] : bounds[-1], one stretch of them per thread.

    sums (threads, items, rows + 1): votes of the item at hand; the last column marks the touched.
    """
    tops, norms = keep[1], keep[2]
    low, n = bounds[0], bounds[-1] - bounds[0]
    columns = np.zeros(tops.size + 1, np.int64)
    columns[1:] = np.cumsum(tops)
    size = np.zeros((n, tops.size), np.int64)
    near = np.empty((n, columns[-1]), np.int32)
    weight = np.empty((n, columns[-1]), np.float32)
    for t in prange(bounds.size - 1):
        mine = sums[t]
        best = np.zeros((longest, norms.size), np.int64)
        touched = np.empty(mine.shape[0], np.int32)
        scaled = np.empty(rules[3].shape[2], np.float64)
        for x in range(bounds[t], bounds[t + 1]):
            n_touched = _walk(view, rules, x, mine, best, touched, scaled)
            to = near[x - low], weight[x - low], size[x - low]
            _keep_top(mine, touched[:n_touched], keep, columns, x, to)
    return size, near, weight


@njit(cache=True)
def _walk(view, rules, x, sums, best, touched, scaled):
    """Add all votes of item x; returns how many neighbours were touched.

    best (places, rows): the votes of the session at hand.
    """
    offsets, events, starts, seen = view
    whole, real, votes, weight, near, far = rules
    n_touched = 0
    low = high = np.int64(-1)  # the stretch of the session that voted
    for q in range(starts[x], starts[x + 1]):
        i, s = np.int64(seen[q, POSITION]), np.int64(seen[q, SESSION])
        first, end = offsets[s], offsets[s + 1]
        if low < 0:
            low = high = i
        for r in range(whole.shape[0]):
            if not _speaks(events, whole, r, i, first, end):
                continue
            norm = 1.0
            if whole[r, v.NORMED]:
                norm = math.log(1.0 + np.float64(end - _head(first, end, events, whole, r)))
            if not whole[r, v.PLAIN]:
                # factors that a row does not have are 1.0, and scaling by SCALE changes no bit
                age = (np.int64(events[i, TS]) - real[r, v.START]) / real[r, v.SPAN]
                for k in range(scaled.size):
                    scaled[k] = weight[r, events[i, CODE] & KIND, k]
                    scaled[k] *= (1.0 + real[r, v.RAMP] * age) * SCALE
            for step in (1, -1):
                room = end - 1 - i
                if step < 0:
                    if whole[r, v.FORWARD]:
                        break
                    room = i - max(first, end - whole[r, v.TAIL])
                j = _add(
                    events, whole, real, votes, near, far, r, i, step, room, norm, best, scaled
                )
                low, high = min(low, j), max(high, j)
        if q + 1 == starts[x + 1] or seen[q + 1, SESSION] != s:
            for r in range(whole.shape[0]):  # no item is its own neighbour
                best[events[i, CODE] >> 7, r] = 0
            for j in range(low, high + 1):
                n_touched = _flush(events, j, sums, best, touched, n_touched)
            low = np.int64(-1)
    return n_touched


@njit(forceinline=True, cache=True)
def _speaks(events, whole, r, i, first, end):
    """Whether row r keeps event i as the x of pairs."""
    oldest, tail = whole[r, v.OLDEST], whole[r, v.TAIL]
    if events[i, TS] <= oldest or end - 1 - i >= tail:
        return False
    if not whole[r, v.FIRST_ONLY]:
        return True
    return i == first or events[i - 1, TS] <= oldest or end - i >= tail


@njit(forceinline=True, cache=True)
def _add(events, whole, real, votes, near, far, r, i, step, room, norm, best, scaled):
    """Gather the votes for what comes after event i (step 1) or before (-1); the last one's place.

    The order of the products is that of matrices.vote.
    """
    within, oldest, once = whole[r, v.WITHIN], whole[r, v.OLDEST], whole[r, v.ONCE]
    plain, decayed, decay = whole[r, v.PLAIN], whole[r, v.DECAYED], real[r, v.STEP]
    now, kind = np.int64(events[i, TS]), events[i, CODE] & KIND
    j = i
    for apart in range(1, min(room, whole[r, v.REACH]) + 1):
        then = np.int64(events[i + step * apart, TS])
        gap = abs(then - now)
        if gap >= within or then <= oldest:
            break
        j = i + step * apart
        place, other = events[j, CODE] >> 7, events[j, CODE] & KIND
        if plain:
            vote = votes[r, kind, other]
        else:
            w = scaled[other]
            if w == 0.0:
                continue
            if decayed:
                w *= far[r, gap >> v.NEAR_BITS] * near[r, gap & (NEAR - 1)]
            if decay != 1.0:
                w *= decay ** np.float64(apart - 1)
            if norm != 1.0:
                w /= norm
            vote = np.int64(w + 0.5)  # no weight is negative: this is the floor
        if not once:
            best[place, r] += vote
        elif vote > best[place, r]:
            best[place, r] = vote
    return j


@njit(forceinline=True, cache=True)
def _flush(events, j, sums, best, touched, n_touched):
    """Move the session's votes for the item of event j into the sums."""
    place, y = events[j, CODE] >> 7, events[j, AID]
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
    kind_of, tops, norms, counts = keep
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


def _packed(found: tuple[NDArray, NDArray, NDArray], r: int, tops: I64) -> Neighbours:
    """The neighbours of row r in a range of items."""
    size, near, weight = found
    offsets = np.concatenate([[0], np.cumsum(size[:, r])])
    item, value = _pack(size[:, r].copy(), near, weight, int(tops[:r].sum()))
    return Neighbours(offsets, item, value)


@njit(cache=True)
def _pack(size, near, weight, begin):
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
