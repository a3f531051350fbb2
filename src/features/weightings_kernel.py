# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Weigh the last events of a session, and add the weights of the events on each item."""

from __future__ import annotations

import math
from enum import CONTINUOUS, UNIQUE, IntEnum, verify
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from src.core.arrays import F32, I32, I64
from src.data.units import DAY

N_LATEST = 5  # latest events, at most, that have a column each


@verify(UNIQUE, CONTINUOUS)
class Weighting(IntEnum):
    """Weights of an event of the history; recipes and names of columns have them in lower case.

    POSITION, TYPE, DAY and TIME are Theo Viel's (OTTO, 2022). RECSYS is from the RecSys challenge
    of 2022.
    """

    EQUAL = 0  # 1
    POSITION = 1  # log-spaced: 1 for the latest event, 2 ** 0.1 - 1 for the first
    TYPE = 2  # Recipe.type_weight
    DAY = 3  # 1 within a day of the last event, else 0
    TIME = 4  # 1 / ln(2 + minutes before the last event)
    RECSYS = 5  # TIME / ln(2 + events since) / ln(1 + events) / ln(1 + events on the item)


N_WEIGHTINGS = len(Weighting)


class History(NamedTuple):
    """Items of the histories of queries as CSR, each once per query, latest first.

    A query has room for an item per event; item is -1 after its last item. total, largest: float32
    (items, N_WEIGHTINGS), sum and maximum of the weights of the events on the item. latest: bit b
    is set where the event b events before the last one is on the item.
    """

    offsets: I64
    item: I32
    total: F32
    largest: F32
    latest: I32


@njit(forceinline=True)
def event_weight(weighting, back, n, seconds, type_weight):
    """Return the weight of an event `back` events and `seconds` before the last one of n events.

    RECSYS lacks the factor of the item, 1 / ln(1 + events on the item).
    """
    if weighting == Weighting.POSITION:
        return 2.0 ** (0.1 + 0.9 * (n - 1 - back) / (n - 1)) - 1.0 if n > 1 else 1.0
    if weighting == Weighting.TYPE:
        return type_weight
    if weighting == Weighting.DAY:
        return 1.0 if seconds <= DAY else 0.0
    if weighting == Weighting.TIME:
        return 1.0 / math.log(2.0 + seconds / 60.0)
    if weighting == Weighting.RECSYS:
        time = 1.0 / math.log(2.0 + seconds / 60.0)
        return time / (math.log(2.0 + back) * math.log(1.0 + n))
    return 1.0


@njit(parallel=True, cache=True)
def weigh_history(events, first, end, max_events, type_weight):
    """Weigh the last `max_events` events of sessions first : end, and return a History.

    type_weight: float64, by event type. A session without an event has no items.
    """
    n_queries = end - first
    offsets = np.zeros(n_queries + 1, np.int64)
    for q in range(n_queries):
        n = events.offsets[first + q + 1] - events.offsets[first + q]
        offsets[q + 1] = offsets[q] + min(max_events, n)
    item = np.full(offsets[-1], -1, np.int32)
    total = np.zeros((offsets[-1], N_WEIGHTINGS), np.float32)
    largest = np.zeros((offsets[-1], N_WEIGHTINGS), np.float32)
    latest = np.zeros(offsets[-1], np.int32)
    for q in prange(n_queries):
        stop, begin = events.offsets[first + q + 1], offsets[q]
        n = offsets[q + 1] - begin
        n_items = 0
        for back in range(n):
            i = stop - 1 - back
            u = begin
            while u < begin + n_items and item[u] != events.item[i]:
                u += 1
            if u == begin + n_items:
                item[u] = events.item[i]
                n_items += 1
            if back < N_LATEST:
                latest[u] |= 1 << back
            seconds = events.ts[stop - 1] - events.ts[i]
            for w in range(N_WEIGHTINGS):
                weight = event_weight(w, back, n, seconds, type_weight[events.type[i]])
                total[u, w] += weight
                largest[u, w] = max(largest[u, w], weight)
        for u in range(begin, begin + n_items):
            item_factor = 1.0 / math.log(1.0 + total[u, Weighting.EQUAL])
            total[u, Weighting.RECSYS] *= item_factor
            largest[u, Weighting.RECSYS] *= item_factor
    return History(offsets, item, total, largest, latest)
