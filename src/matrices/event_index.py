"""The events that some matrix rows look at, indexed by item: what the counting kernel walks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import get_num_threads

from src.core.arrays import I32, I64
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.matrices import event_index_kernel as kernel

Types = tuple[int, ...] | None
"""Event types that are kept; None: all."""


class EventIndex(NamedTuple):
    """Events of some types, with an inverted index.

    events (n, 3): item, second, and the type | the item's place << 7. The place counts the
    different items of the session from 0: a walk that gathers votes by place stays in the cache.
    postings[item_offsets[x] : item_offsets[x + 1]] (n, 2): position and session of each event of
    item x, ascending.
    """

    offsets: I64  # of sessions
    events: I32
    item_offsets: I64
    postings: I32
    longest: int  # events of a session

    @property
    def n_items(self) -> int:
        return self.item_offsets.size - 1


def memory(events: int, sessions: int, items: int, threads: int) -> int:
    """Bytes of the largest index while it is made: the sessions it is made from included."""
    return 40 * events + 24 * sessions + (16 + 8 * threads) * items


def of_split(data: SplitData, types: Types) -> EventIndex:
    """The index of a split; only the one last asked for is kept."""
    key = ("event index", types)
    if not data.is_cached(key):
        data.clear_cache()
    return data.cached(key, lambda: index_events(Sessions.load(data.run, data.split), types))


def index_events(sessions: Sessions, types: Types) -> EventIndex:
    """Filter and index the events of sessions; raises ValueError where positions overflow."""
    s = sessions
    if s.item.size >= 2**31:
        raise ValueError(f"{s.item.size:,} events: at most 2^31; lower --sample")
    wanted = np.zeros(kernel.TYPE + 1, np.bool_)
    wanted[list(types) if types is not None else slice(None)] = True
    kept = kernel.count_kept(s.offsets, s.type, wanted)
    offsets = np.concatenate([[0], np.cumsum(kept)])
    events = np.empty((offsets[-1], 3), np.int32)
    # made here: numpy asks for huge pages, numba does not
    places = np.zeros((get_num_threads(), s.n_items, 2), np.int32)
    kernel.pack(s.offsets, offsets, s.item, s.ts, s.type, wanted, places, events)
    postings = np.empty((offsets[-1], 2), np.int32)
    item_offsets = kernel.invert(offsets, events, s.n_items, postings)
    return EventIndex(offsets, events, item_offsets, postings, int(kept.max(initial=0)))
