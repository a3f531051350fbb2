# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The events that some matrix rows look at, indexed by item: what the matrix kernel walks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, njit, prange

from src.core.arrays import I32, I64
from src.data.sessions import Sessions

AID, TS, CODE = range(3)
KIND = 127  # the bits of CODE that hold the event's type; above them is the place of its item
POSITION, SESSION = range(2)


@dataclass(frozen=True)
class View:
    """The events of some types, with their index.

    events (n, 3): item, second, and the type | the item's place << 7, where place counts the
    different items of the session from 0: a walk that gathers votes by place stays in the cache.
    seen[starts[x] : starts[x + 1]] (n, 2): position and session of each event of item x, ascending.
    """

    offsets: I64
    events: I32
    starts: I64
    seen: I32
    longest: int  # events of a session

    @property
    def n_items(self) -> int:
        return self.starts.size - 1


def view_bytes(events: int, sessions: int, items: int, threads: int) -> int:
    """Memory of the largest view while it is made: the sessions it is made from included."""
    return 40 * events + 24 * sessions + (16 + 8 * threads) * items


def make_view(sessions: Sessions, types: tuple[int, ...] | None) -> View:
    """Filter and index the events of a split; raises ValueError where positions overflow."""
    if sessions.item.size >= 2**31:
        raise ValueError(f"{sessions.item.size:,} events: at most 2^31; lower --sample")
    wanted = np.zeros(KIND + 1, np.bool_)
    wanted[list(types) if types is not None else slice(None)] = True
    kept = _kept(sessions.offsets, sessions.type, wanted)
    offsets = np.concatenate([[0], np.cumsum(kept)])
    events = np.empty((offsets[-1], 3), np.int32)
    # made here: numpy asks for huge pages, numba does not
    places = np.zeros((get_num_threads(), sessions.n_items, 2), np.int32)
    s = sessions
    _pack(s.offsets, offsets, s.item, s.ts, s.type, wanted, places, events)
    seen = np.empty((offsets[-1], 2), np.int32)
    starts = _invert(offsets, events, s.n_items, seen)
    return View(offsets, events, starts, seen, int(kept.max(initial=0)))


@njit(parallel=True, cache=True)
def _kept(offsets, type_, wanted):
    kept = np.zeros(offsets.size - 1, np.int64)
    for s in prange(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1]):
            kept[s] += wanted[type_[i]]
    return kept


@njit(parallel=True, cache=True)
def _pack(old, new, item, ts, type_, wanted, places, events):
    """The kept events of each session; places (threads, items, 2): session + 1, and place there."""
    n_sessions, n_threads = old.size - 1, places.shape[0]
    for t in prange(n_threads):
        for s in range(n_sessions * t // n_threads, n_sessions * (t + 1) // n_threads):
            to, known = new[s], 0
            for i in range(old[s], old[s + 1]):
                if wanted[type_[i]]:
                    x = item[i]
                    if places[t, x, 0] != s + 1:
                        places[t, x, 0] = s + 1
                        places[t, x, 1] = known
                        known += 1
                    events[to, AID] = x
                    events[to, TS] = ts[i]
                    events[to, CODE] = places[t, x, 1] << 7 | type_[i]
                    to += 1


@njit(cache=True)
def _invert(offsets, events, n_items, seen):
    starts = np.zeros(n_items + 1, np.int64)
    for i in range(events.shape[0]):
        starts[events[i, AID] + 1] += 1
    for x in range(n_items):
        starts[x + 1] += starts[x]
    at = starts[:-1].copy()
    for s in range(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1]):
            x = events[i, AID]
            seen[at[x], POSITION] = i
            seen[at[x], SESSION] = s
            at[x] += 1
    return starts
