"""The last events before queries: those of their sessions, or the pages that their users opened."""

from __future__ import annotations

import numpy as np

from src.core.arrays import I32, I64, arrays
from src.data.impressions import impressions, read_log
from src.data.sequence_batch import SequenceBatch
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.features.keyed_log import Lookup, key_index


def histories(data: SplitData, session: I32 | I64, max_len: int) -> SequenceBatch:
    """Return the last events of dense sessions, newest first; those of impressions are pages.

    A session without an event has an empty history. A max_len of 0 reads no session.
    """
    if not max_len:
        return no_events(session.size)
    if data.has_visits:
        return pages_before(data, session, max_len)
    return last_events(data.sessions, session, max_len)


def last_events(sessions: Sessions, session: I32 | I64, max_len: int) -> SequenceBatch:
    """Return the last events of dense sessions, newest first; empty for a session without any."""
    session = session.astype(np.int64)
    end = sessions.offsets[session + 1]
    event = np.where(end > sessions.offsets[session], end - 1, -1)
    return SequenceBatch.of(sessions, event, max_len)


def pages_before(data: SplitData, session: I32 | I64, max_len: int) -> SequenceBatch:
    """Return the last pages that the users of impressions opened at an earlier second."""
    index = key_index(data, "visits", ("user",))

    def of_users() -> Sessions:
        (item,) = read_log(data, "visits", "item")
        no_type = np.zeros(index.order.size, np.int8)
        return Sessions(index.offsets, item[index.order], index.ts, no_type, data.n_items, 0)

    users = data.cached(("pages of users",), of_users)
    rows = impressions(data)[session - data.first_query]
    user, ts = arrays(rows, "user", "ts")
    ts = ts.astype(np.int64)
    lookup = Lookup(index, index.groups_of([user], ts.size), ts)
    event = lookup.first_from(ts) - 1
    return SequenceBatch.of(users, np.where(event >= lookup.start, event, -1), max_len)


def no_events(sequences: int) -> SequenceBatch:
    """Return sequences without a place for an event."""
    empty = np.zeros((sequences, 0), np.int64)
    return SequenceBatch(empty, empty, empty, empty, np.zeros(sequences, np.int64))
