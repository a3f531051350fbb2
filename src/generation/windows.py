"""Sessions as sequences of items: what the generator reads, and what it learns to generate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import I64
from src.data.sessions import Sessions

NO_ITEM = -1


@dataclass(frozen=True)
class Windows:
    """Parts of sessions. int64 (windows): first event and number of events."""

    first: I64
    length: I64

    @classmethod
    def of(cls, begin: I64, length: I64, max_len: int) -> Windows:
        """Cut runs of events to windows of at most max_len, as equal as possible."""
        begin, length = begin[length > 0], length[length > 0]
        parts = -(-length // max_len)
        owner = np.repeat(np.arange(length.size), parts)
        number = np.arange(owner.size) - np.repeat(np.cumsum(parts) - parts, parts)
        low, high = (length[owner] * n // parts[owner] for n in (number, number + 1))
        return cls(begin[owner] + low, high - low)

    @classmethod
    def last(cls, sessions: Sessions, session: I64, max_len: int) -> Windows:
        """Take the last max_len events of sessions, which may have none."""
        end = sessions.offsets[session + 1]
        first = np.maximum(sessions.offsets[session], end - max_len)
        return cls(first, end - first)

    def take(self, rows: I64) -> Windows:
        """Select windows."""
        return Windows(self.first[rows], self.length[rows])

    def items(self, sessions: Sessions) -> I64:
        """Return the items, oldest first: int64 (windows, longest), -1 behind the end."""
        place = np.arange(self.length.max(initial=0))
        if not sessions.item.size:
            return np.full((self.length.size, 0), NO_ITEM, np.int64)
        present = place < self.length[:, None]
        index = np.where(present, self.first[:, None] + place, 0)
        return np.where(present, sessions.item[index], NO_ITEM).astype(np.int64)
