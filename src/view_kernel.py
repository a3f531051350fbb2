"""The events that some matrix rows look at, indexed by item: what the matrix kernel walks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from src.events import I8, I32, I64, Sessions
from src.matrices import Span
from src.recipe import DAY, MatrixRow


@dataclass(frozen=True)
class View:
    """The events some rows look at (same `types`, `last_days`, `tail`), with their index.

    events[starts[x] : starts[x + 1]] are the positions of item x, ascending.
    """

    offsets: I64
    aid: I32
    ts: I32
    type: I8
    session: I32
    starts: I64
    events: I32


def view_key(row: MatrixRow) -> tuple[object, ...]:
    """Rows with the same key share a View."""
    return (row.types, row.last_days, row.tail)


def make_view(sessions: Sessions, row: MatrixRow, span: Span) -> View:
    """Filter, trim and index the events of a split for a row."""
    wanted = np.zeros(128, np.bool_)
    wanted[list(row.types) if row.types is not None else slice(None)] = True
    oldest = span.first - 1 if row.last_days is None else span.last - int(row.last_days * DAY)
    tail = np.iinfo(np.int64).max if row.tail is None else row.tail
    kept = _kept(sessions.offsets, sessions.ts, sessions.type, wanted, oldest, tail)
    offsets = np.concatenate([[0], np.cumsum(kept)])
    aid, ts, type_, session = _take(
        sessions.offsets, offsets, sessions.aid, sessions.ts, sessions.type, wanted, oldest
    )
    starts, events = _invert(aid, sessions.n_items)
    return View(offsets, aid, ts, type_, session, starts, events)


@njit(parallel=True, cache=True)
def _kept(offsets, ts, type_, wanted, oldest, tail):
    kept = np.zeros(offsets.size - 1, np.int64)
    for s in prange(offsets.size - 1):
        n = 0
        for i in range(offsets[s], offsets[s + 1]):
            n += wanted[type_[i]] and ts[i] > oldest
        kept[s] = min(n, tail)
    return kept


@njit(parallel=True, cache=True)
def _take(old, new, aid, ts, type_, wanted, oldest):
    """The kept events of each session: its last ones that pass, in order."""
    n = new[-1]
    out = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int8), np.empty(n, np.int32)
    for s in prange(old.size - 1):
        to = new[s + 1] - 1
        for i in range(old[s + 1] - 1, old[s] - 1, -1):
            if to < new[s]:
                break
            if wanted[type_[i]] and ts[i] > oldest:
                out[0][to] = aid[i]
                out[1][to] = ts[i]
                out[2][to] = type_[i]
                out[3][to] = s
                to -= 1
    return out


@njit(cache=True)
def _invert(aid, n_items):
    starts = np.zeros(n_items + 1, np.int64)
    for a in aid:
        starts[a + 1] += 1
    for x in range(n_items):
        starts[x + 1] += starts[x]
    at = starts[:-1].copy()
    events = np.empty(aid.size, np.int32)
    for i in range(aid.size):
        events[at[aid[i]]] = i
        at[aid[i]] += 1
    return starts, events
