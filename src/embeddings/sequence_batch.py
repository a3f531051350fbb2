"""The last events of sessions as padded arrays: what sequence models read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import I32, I64
from src.data.sessions import Sessions
from src.data.units import HOUR

GAPS = 24
"""Buckets of seconds: bucket b begins at 2 ** (b - 1), bucket 0 is less than a second."""
NO_ITEM = -1


@dataclass(frozen=True)
class SequenceBatch:
    """Up to max_len events of each session, newest first; padding: item -1, all else 0.

    Integers (sequences, max_len): item, event_type; recency, the bucket of the seconds up to the
    newest event; gap, that of the seconds up to the next newer event. Integers (sequences): hour of
    the day (0 to 23) of the newest event.
    """

    item: I64
    event_type: I64
    recency: I64
    gap: I64
    hour: I64

    @classmethod
    def of(cls, sessions: Sessions, event: I32 | I64, max_len: int) -> SequenceBatch:
        """Take the max_len events of the session up to each of these, itself included.

        event: numbers of events of the split; -1, a session without one, gives padding only.
        """
        first = sessions.offsets[session_of(sessions, event)]
        length = np.where(event >= 0, event - first + 1, 0)
        back = np.arange(max_len)
        mask = back < length[:, None]
        index = np.where(mask, event[:, None] - back, 0)
        ts = sessions.ts[index].astype(np.int64)
        recency = ts[:, :1] - ts
        gap = np.diff(recency, axis=1, prepend=0)
        return cls(
            np.where(mask, sessions.item[index], NO_ITEM).astype(np.int64),
            np.where(mask, sessions.type[index], 0).astype(np.int64),
            np.where(mask, bucket(recency), 0), np.where(mask, bucket(gap), 0),
            np.where(event >= 0, ts[:, 0] // HOUR % 24, 0),
        )  # fmt: skip

    @classmethod
    def of_single_events(cls, item: I64, event_type: int, max_len: int) -> SequenceBatch:
        """Make sequences of one event each, at noon."""
        zeros = np.zeros((item.size, max_len), np.int64)
        newest = np.arange(max_len) == 0
        items = np.where(newest, item[:, None], NO_ITEM)
        return cls(items, zeros + event_type * newest, zeros, zeros, np.full(item.size, 12))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where there is an event, bool (sequences, max_len)."""
        return self.item != NO_ITEM


def session_of(sessions: Sessions, event: I32 | I64) -> I64:
    """Find the session of each event number."""
    return np.searchsorted(sessions.offsets, event, side="right") - 1


def bucket(seconds: I64) -> I64:
    """Return 0 below a second, then one bucket per doubling, GAPS - 1 at most."""
    return np.minimum(np.frexp(np.maximum(seconds, 0).astype(np.float64))[1], GAPS - 1)
