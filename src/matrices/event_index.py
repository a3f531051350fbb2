"""Index the events of some types by item, for the counting kernel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import get_num_threads

from src.core.arrays import I32, I64, offsets_of_sizes
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.matrices import event_index_kernel as kernel

Types = tuple[int, ...] | None
"""Event types to keep; None: all."""


class EventIndex(NamedTuple):
    """Events of some types by session, and their postings by item, both as CSR.

    events (n, 3): columns ITEM, TS in seconds, and CODE, the type | local item << TYPE_BITS. The
    local item numbers the different items of a session from 0. Votes that are collected by local
    item stay in the cache. postings (n, 2): columns POSITION, the row of the event, ascending for
    each item, and SESSION.
    """

    offsets: I64  # of events by session
    events: I32
    item_offsets: I64  # of postings by item
    postings: I32
    longest: int  # events of the longest session

    @property
    def n_items(self) -> int:
        return self.item_offsets.size - 1


def memory(events: int, sessions: int, items: int, threads: int) -> int:
    """Estimate the bytes of an index of all events and of the sessions that it is made from."""
    return 40 * events + 24 * sessions + (16 + 8 * threads) * items


def of_split(data: SplitData, types: Types) -> EventIndex:
    """Return the index of a split; the cache of the split keeps only the latest one."""
    key = ("event index", types)
    if not data.is_cached(key):
        data.clear_cache()
    return data.cached(key, lambda: index_events(Sessions.load(data.run, data.split), types))


def index_events(sessions: Sessions, types: Types) -> EventIndex:
    """Filter and index the events of sessions; raise ValueError for 2^31 events or more."""
    s = sessions
    if s.item.size >= 2**31:
        raise ValueError(f"{s.item.size:,} events: at most 2^31; lower --sample")
    wanted = np.zeros(kernel.TYPE + 1, np.bool_)
    wanted[list(types) if types is not None else slice(None)] = True
    kept = kernel.count_kept(s.offsets, s.type, wanted)
    offsets = offsets_of_sizes(kept)
    events = np.empty((offsets[-1], 3), np.int32)
    # allocated by numpy, which uses huge pages, unlike numba
    local_items = np.zeros((get_num_threads(), s.n_items, 2), np.int32)
    kernel.pack(s.offsets, offsets, s.item, s.ts, s.type, wanted, local_items, events)
    postings = np.empty((offsets[-1], 2), np.int32)
    item_offsets = kernel.invert(offsets, events, s.n_items, postings)
    return EventIndex(offsets, events, item_offsets, postings, int(kept.max(initial=0)))
