"""A matrix row on the CPU: a row-wise sparse product over an inverted index (Gustavson, 1978).

For each item x: walk its events, walk their sessions outwards from each event, add the votes into
a dense accumulator, keep the top neighbours. No pair is ever written out: memory is the events,
one index of them and one accumulator per thread. `src/matrices.py` defines what the result is.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from src.events import I64
from src.matrices import SCALE, Matrix, Span
from src.recipe import MatrixRow
from src.view_kernel import View

BLOCK_BYTES = 512 * 2**20
"""Room for the finished rows of one range of items, before they are packed."""

Votes = namedtuple(
    "Votes",
    "first_only forward reach within source target ramp first_ts span decay step norm once "
    "item_norm",
)


def count(view: View, row: MatrixRow, span: Span) -> Matrix:
    """The matrix of `row` over the events of its view."""
    votes = _votes(row, span)
    n_items = view.starts.size - 1
    per_range = max(1, BLOCK_BYTES // (8 * row.top_n))
    work = _work(view.starts, view.events, view.offsets, view.session)
    parts = []
    for low in range(0, n_items, per_range):
        high = min(low + per_range, n_items)
        bounds = _even_bounds(work, low, high, get_num_threads())
        parts.append(_count(tuple_of(view), votes, bounds, row.top_n))
    sizes = np.concatenate([p[0] for p in parts])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Matrix(
        offsets, np.concatenate([p[1] for p in parts]), np.concatenate([p[2] for p in parts])
    )


def tuple_of(view: View) -> tuple[NDArray, ...]:
    """The arrays of a view as numba takes them."""
    return (view.offsets, view.aid, view.ts, view.type, view.session, view.starts, view.events)


def _votes(row: MatrixRow, span: Span) -> Votes:
    """Numbers of a row for the kernel; `reach` and `within` are bounds on what can vote at all."""
    within = np.iinfo(np.int64).max if row.within is None else row.within
    decay = np.ones(1)
    if row.half_life is not None:
        heaviest = max(row.source_weight) * max(row.target_weight) * (1.0 + max(row.recency, 0.0))
        # farther apart than this, a vote rounds to nothing
        silent = math.ceil(row.half_life * (math.log2(SCALE * max(heaviest, 1.0)) + 1)) + 1
        within = min(within, silent)
        decay = 0.5 ** (np.arange(within, dtype=np.float64) / row.half_life)
    return Votes(
        first_only=row.first_only,
        forward=row.direction == "forward",
        reach=np.iinfo(np.int64).max if row.steps is None else row.steps,
        within=within,
        source=np.array(row.source_weight, np.float64),
        target=np.array(row.target_weight, np.float64),
        ramp=float(row.recency),
        first_ts=span.first,
        span=float(max(span.last - span.first, 1)),
        decay=decay,
        step=float(row.step_decay),
        norm=row.session_norm,
        once=row.once,
        item_norm=float(row.item_norm),
    )


@njit(cache=True)
def _work(starts, events, offsets, session):
    """Running total of session lengths over each item's events: what a walk costs, about."""
    total = np.zeros(starts.size, np.int64)
    for x in range(starts.size - 1):
        cost = 1
        for q in range(starts[x], starts[x + 1]):
            s = session[events[q]]
            cost += offsets[s + 1] - offsets[s]
        total[x + 1] = total[x] + cost
    return total


def _even_bounds(work: I64, low: int, high: int, parts: int) -> I64:
    """Cut items low : high into parts of equal work."""
    cuts = work[low] + (work[high] - work[low]) * np.arange(1, parts) // parts
    inner = np.clip(np.searchsorted(work, cuts), low, high)
    return np.concatenate([[low], inner, [high]]).astype(np.int64)


@njit(inline="always")
def _vote(votes, source, target, ramp, gap, apart, norm):
    """The fixed-point vote of a pair of events; the order of the products is matrices.vote's."""
    weight = source * target * ramp
    if votes.decay.size > 1:
        weight = weight * votes.decay[gap]
    if votes.step != 1.0:
        weight = weight * votes.step ** np.float64(apart - 1)
    return np.int64(weight / norm * SCALE + 0.5)  # no weight is negative: this is the floor


@njit(parallel=True, cache=True)
def _count(view, votes, bounds, top_n):
    """Neighbours of the items bounds[0] : bounds[-1], one stretch of them per thread."""
    starts = view[5]
    low, n = bounds[0], bounds[-1] - bounds[0]
    n_items = starts.size - 1
    size = np.zeros(n, np.int64)
    near = np.empty((n, top_n), np.int32)
    weight = np.empty((n, top_n), np.float32)
    for t in prange(bounds.size - 1):
        # per item y: the best vote of the session at hand, and the sum over sessions
        state = np.zeros((n_items, 2), np.int64)
        touched = np.empty(n_items, np.int32)
        voted = np.empty(n_items, np.int32)
        for x in range(bounds[t], bounds[t + 1]):
            n_touched = _walk(view, votes, x, state, touched, voted)
            size[x - low] = _keep_top(
                state,
                touched,
                n_touched,
                starts,
                x,
                votes.item_norm,
                near[x - low],
                weight[x - low],
            )
    return _pack(size, near, weight)


@njit(cache=True)
def _walk(view, votes, x, state, touched, voted):
    """Add all votes of item x; returns how many neighbours were touched."""
    offsets, aid, ts, type_, session, starts, events = view
    n_touched = 0
    n_voted = 0
    for q in range(starts[x], starts[x + 1]):
        i = events[q]
        s = session[i]
        first, end = offsets[s], offsets[s + 1]
        source, now = votes.source[type_[i]], np.int64(ts[i])
        # 1.0 where a row has no such factor: it changes no bit
        ramp = 1.0 + votes.ramp * ((now - votes.first_ts) / votes.span)
        norm = math.log(1.0 + np.float64(end - first)) if votes.norm else 1.0
        if source > 0.0 and not (votes.first_only and i != first):
            for way in range(1 if votes.forward else 2):
                step = 1 if way == 0 else -1
                far = min(votes.reach, end - 1 - i if way == 0 else i - first)
                for apart in range(1, far + 1):
                    j = i + step * apart
                    gap = abs(np.int64(ts[j]) - now)
                    if gap >= votes.within:
                        break
                    y = aid[j]
                    if y == x:
                        continue
                    vote = _vote(votes, source, votes.target[type_[j]], ramp, gap, apart, norm)
                    if vote > 0:
                        best = state[y, 0]
                        if best == 0:
                            voted[n_voted] = y
                            n_voted += 1
                            state[y, 0] = vote
                        elif votes.once:
                            state[y, 0] = max(best, vote)
                        else:
                            state[y, 0] = best + vote
        if n_voted > 0 and (q + 1 == starts[x + 1] or session[events[q + 1]] != s):
            for v in range(n_voted):
                y = voted[v]
                if state[y, 1] == 0:
                    touched[n_touched] = y
                    n_touched += 1
                state[y, 1] += state[y, 0]
                state[y, 0] = 0
            n_voted = 0
    return n_touched


@njit(cache=True)
def _keep_top(state, touched, n_touched, starts, x, item_norm, near, weight):
    """Move the heaviest sums into a row (ties by item id) and clear the accumulator."""
    n = 0
    top = near.size
    for k in range(n_touched):
        y = touched[k]
        total = np.float64(state[y, 1]) / SCALE
        state[y, 1] = 0
        if item_norm != 0.0:
            counts = np.float64(starts[x + 1] - starts[x]) * np.float64(starts[y + 1] - starts[y])
            total = total / counts**item_norm
        w = np.float32(total)
        if n == top and (w < weight[n - 1] or (w == weight[n - 1] and y > near[n - 1])):
            continue
        i = n if n < top else top - 1
        n = min(n + 1, top)
        while i > 0 and (weight[i - 1] < w or (weight[i - 1] == w and near[i - 1] > y)):
            near[i] = near[i - 1]
            weight[i] = weight[i - 1]
            i -= 1
        near[i] = y
        weight[i] = w
    return n


@njit(cache=True)
def _pack(size, near, weight):
    n = size.sum()
    aid = np.empty(n, np.int32)
    value = np.empty(n, np.float32)
    at = 0
    for x in range(size.size):
        aid[at : at + size[x]] = near[x, : size[x]]
        value[at : at + size[x]] = weight[x, : size[x]]
        at += size[x]
    return size, aid, value
