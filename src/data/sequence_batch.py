"""The last events of sessions as padded arrays: the input of sequence models."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import I32, I64
from src.data.sessions import Sessions
from src.data.units import HOUR

TIME_BUCKETS = 24
"""Number of buckets of seconds: bucket 0 is below a second, bucket b begins at 2 ** (b - 1)."""
NO_ITEM = -1
NOON = 12


@dataclass(frozen=True)
class SequenceBatch:
    """Up to max_len events of each session, newest first; padding has item -1 and 0 elsewhere.

    int64 (sequences, max_len): item, event_type; recency, the bucket of the seconds from the event
    to the newest one; gap, the bucket of the seconds to the next newer event. int64 (sequences):
    hour of the day (0 to 23) of the newest event.
    """

    item: I64
    event_type: I64
    recency: I64
    gap: I64
    hour: I64

    @classmethod
    def of(cls, sessions: Sessions, event: I32 | I64, max_len: int) -> SequenceBatch:
        """Make a sequence per event: this event and those before it in its session.

        event: indices of events of the split; -1 gives padding alone (a session without events).
        """
        if sessions.ts.size == 0:  # a split without events
            zeros = np.zeros((event.size, max_len), np.int64)
            return cls(zeros + NO_ITEM, zeros, zeros, zeros, np.zeros(event.size, np.int64))
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
        """Make sequences of one event each, of these items, at noon."""
        zeros = np.zeros((item.size, max_len), np.int64)
        newest = np.arange(max_len) == 0
        items = np.where(newest, item[:, None], NO_ITEM)
        return cls(items, zeros + event_type * newest, zeros, zeros, np.full(item.size, NOON))

    def take(self, sequences: I64) -> SequenceBatch:
        """Return the sequences of these numbers."""
        return SequenceBatch(*(getattr(self, field.name)[sequences] for field in fields(self)))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Mark the events, bool (sequences, max_len); padding is False."""
        return self.item != NO_ITEM


def session_of(sessions: Sessions, event: I32 | I64) -> I64:
    """Find the session of each event; event: indices of events of the split."""
    return np.searchsorted(sessions.offsets, event, side="right") - 1


def bucket(seconds: I64) -> I64:
    """Return the bucket of each number of seconds: 0 below a second, then one per doubling."""
    return np.minimum(np.frexp(np.maximum(seconds, 0).astype(np.float64))[1], TIME_BUCKETS - 1)
