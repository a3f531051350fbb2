# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Compute the statistics of ItemStatisticsFeature in one pass over the events of a split."""

from __future__ import annotations

import math
from enum import CONTINUOUS, UNIQUE, IntEnum, verify

import numpy as np
from numba import njit

from src.features.weightings_kernel import Weighting, event_weight

MAX_TYPES = 7  # the bits of an int64 hold 7 types and 7 * 7 pairs of types below RETURNED
RETURNED = 62  # bit of an item that the session came back to


@verify(UNIQUE, CONTINUOUS)
class ColumnGroup(IntEnum):
    """Groups of columns, in order; `column_groups` of item_statistics.py names their columns."""

    EVENTS = 0  # events on the item, per type
    SESSIONS = 1  # sessions with the item
    TYPE_SESSIONS = 2  # sessions with an event of the type on the item, per type
    WEIGHT = 3  # sum of the weights of the events in their sessions, per weighting
    SHARE = 4  # share of the events that have the type, per type but the first
    CONVERSION = 5  # share of the sessions with type a where b follows, per pair of types (a, b)
    MEAN = 6  # a column per Mean


@verify(UNIQUE, CONTINUOUS)
class Mean(IntEnum):
    """Means over the events on an item, or over its sessions."""

    PLACE = 0  # place in the session: 0 for the first event, 1 for the last
    LENGTH = 1  # number of events of the session
    EXIT_RATE = 2  # share of the events that are the last of their session
    LOG_GAP = 3  # ln(1 + seconds to the next event) of the session, where there is one
    RETURN_RATE = 4  # share of the sessions that have two events or more on the item


WEIGHTS = tuple(weighting for weighting in Weighting if weighting != Weighting.EQUAL)
N_WEIGHTS = len(WEIGHTS)


@njit(cache=True)
def item_statistics(events, n_items, n_types, since, type_weight, groups):
    """Compute the columns of each item, of the events from second `since` on.

    groups: int64, the first column of each ColumnGroup, then the number of columns. Returns float32
    (items, columns).
    """
    out = np.zeros((n_items, groups[-1]), np.float64)
    mean = groups[ColumnGroup.MEAN]
    session_of = np.full(n_items, -1, np.int64)  # latest session with the item so far
    seen = np.zeros(n_items, np.int64)  # bits of the item in that session: types, pairs, RETURNED
    n_gaps = np.zeros(n_items, np.int64)
    for s in range(events.offsets.size - 1):
        begin, stop = events.offsets[s], events.offsets[s + 1]
        n = stop - begin
        for i in range(begin, stop):
            if events.ts[i] < since:
                continue
            x, t = events.item[i], np.int64(events.type[i])
            if session_of[x] != s:
                session_of[x], seen[x] = s, 0
                out[x, groups[ColumnGroup.SESSIONS]] += 1
            elif not seen[x] >> RETURNED & 1:
                seen[x] |= np.int64(1) << RETURNED
                out[x, mean + Mean.RETURN_RATE] += 1
            out[x, groups[ColumnGroup.EVENTS] + t] += 1
            for a in range(n_types):
                pair = a * n_types + t
                if seen[x] >> a & 1 and not seen[x] >> (n_types + pair) & 1:
                    seen[x] |= np.int64(1) << (n_types + pair)
                    out[x, groups[ColumnGroup.CONVERSION] + pair] += 1
            if not seen[x] >> t & 1:
                seen[x] |= 1 << t
                out[x, groups[ColumnGroup.TYPE_SESSIONS] + t] += 1
            seconds = events.ts[stop - 1] - events.ts[i]
            for k in range(N_WEIGHTS):
                weight = event_weight(WEIGHTS[k], stop - 1 - i, n, seconds, type_weight[t])
                out[x, groups[ColumnGroup.WEIGHT] + k] += weight
            out[x, mean + Mean.PLACE] += (i - begin) / (n - 1) if n > 1 else 1.0
            out[x, mean + Mean.LENGTH] += n
            if i == stop - 1:
                out[x, mean + Mean.EXIT_RATE] += 1
            else:
                out[x, mean + Mean.LOG_GAP] += math.log(1.0 + events.ts[i + 1] - events.ts[i])
                n_gaps[x] += 1
    _divide(out, n_gaps, n_types, groups)
    return out.astype(np.float32)


@njit(cache=True)
def _divide(out, n_gaps, n_types, groups):
    """Turn the sums of `item_statistics` into shares and means."""
    mean = groups[ColumnGroup.MEAN]
    for x in range(n_gaps.size):
        n_events = 0.0
        for t in range(n_types):
            n_events += out[x, groups[ColumnGroup.EVENTS] + t]
        if n_events == 0.0:
            continue
        for t in range(1, n_types):
            of_type = out[x, groups[ColumnGroup.EVENTS] + t]
            out[x, groups[ColumnGroup.SHARE] + t - 1] = of_type / n_events
        for a in range(n_types):
            n_sessions = max(out[x, groups[ColumnGroup.TYPE_SESSIONS] + a], 1.0)
            for b in range(n_types):
                out[x, groups[ColumnGroup.CONVERSION] + a * n_types + b] /= n_sessions
        out[x, mean + Mean.PLACE] /= n_events
        out[x, mean + Mean.LENGTH] /= n_events
        out[x, mean + Mean.EXIT_RATE] /= n_events
        out[x, mean + Mean.LOG_GAP] /= max(n_gaps[x], 1)
        out[x, mean + Mean.RETURN_RATE] /= out[x, groups[ColumnGroup.SESSIONS]]
