# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""What all visible sessions did with each item: one walk over a split's events."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from src.features.features_kernel import DAY, POSITION, RECSYS, TIME, TYPE, event_weight

WEIGHTS = (POSITION, TYPE, DAY, TIME, RECSYS)
MEANS = ("place", "length", "ends", "wait", "again")


def names(types: tuple[str, ...]) -> list[str]:
    """The columns of `item_statistics`, in order."""
    pairs = [f"{a}_to_{b}" for a in types for b in types]
    weights = ["position", "type", "day", "time", "recsys"]
    return [
        *(f"events_{t}" for t in types), "sessions", *(f"sessions_{t}" for t in types),
        *(f"weight_{w}" for w in weights), *(f"share_{t}" for t in types[1:]), *pairs, *MEANS,
    ]  # fmt: skip


@njit(cache=True)
def item_statistics(offsets, item, ts, type_, n_items, n_types, since, type_weight, n_columns):
    """A row of `names` for each item, float32, of the events from second `since` on.

    events and sessions count; weight_<w> sums the events' weights in their sessions; share_<t> is
    the type's share of the events; <a>_to_<b> the share of the sessions with an event of type a in
    which one of type b followed (conversion; of one type: bought again); place is the mean place in
    the session (0: first, 1: last), length the mean number of its events, ends the share of events
    that are their session's last, wait the mean ln(1 + seconds to the next event), again the share
    of its sessions that came back to it.
    """
    out = np.zeros((n_items, n_columns), np.float64)
    sessions, of_type, weights, _, pairs, means = _starts(n_types)
    mark = np.full(n_items, -1, np.int64)  # the session an item was seen in last
    seen = np.zeros(n_items, np.int64)  # bits: its types there; above them, the pairs; then again
    waits = np.zeros(n_items, np.int64)
    for s in range(offsets.size - 1):
        begin, stop = offsets[s], offsets[s + 1]
        n = stop - begin
        for i in range(begin, stop):
            if ts[i] < since:
                continue
            x, t = item[i], np.int64(type_[i])
            if mark[x] != s:
                mark[x], seen[x] = s, 0
                out[x, sessions] += 1
            elif not seen[x] >> 62 & 1:
                seen[x] |= np.int64(1) << 62
                out[x, means + 4] += 1
            out[x, t] += 1
            for a in range(n_types):
                pair = a * n_types + t
                if seen[x] >> a & 1 and not seen[x] >> (n_types + pair) & 1:
                    seen[x] |= np.int64(1) << (n_types + pair)
                    out[x, pairs + pair] += 1
            if not seen[x] >> t & 1:
                seen[x] |= 1 << t
                out[x, of_type + t] += 1
            for k in range(len(WEIGHTS)):
                seconds = ts[stop - 1] - ts[i]
                w = event_weight(WEIGHTS[k], stop - 1 - i, n, seconds, type_weight[t])
                out[x, weights + k] += w
            out[x, means] += (i - begin) / (n - 1) if n > 1 else 1.0
            out[x, means + 1] += n
            if i == stop - 1:
                out[x, means + 2] += 1
            else:
                out[x, means + 3] += math.log(1.0 + ts[i + 1] - ts[i])
                waits[x] += 1
    _means(out, waits, n_types)
    return out.astype(np.float32)


@njit(cache=True)
def _means(out, waits, n_types):
    """Divide what `item_statistics` has summed."""
    sessions, of_type, _, shares, pairs, means = _starts(n_types)
    for x in range(waits.size):
        events = 0.0
        for t in range(n_types):
            events += out[x, t]
        if events == 0.0:
            continue
        for t in range(1, n_types):
            out[x, shares + t - 1] = out[x, t] / events
        for a in range(n_types):
            for b in range(n_types):
                out[x, pairs + a * n_types + b] /= max(out[x, of_type + a], 1.0)
        for c in range(3):
            out[x, means + c] /= events
        out[x, means + 3] /= max(waits[x], 1)
        out[x, means + 4] /= out[x, sessions]


@njit(cache=True)
def _starts(n_types):
    """The first column of each kind of `names` but the first: sessions, sessions of a type, ..."""
    sessions = n_types
    of_type = sessions + 1
    weights = of_type + n_types
    shares = weights + len(WEIGHTS)
    pairs = shares + n_types - 1
    return sessions, of_type, weights, shares, pairs, pairs + n_types * n_types
