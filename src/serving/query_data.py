"""The data of a stored split with the query as one session more, for retrievers and features."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.arrays import I32, I64
from src.core.run import Run
from src.data import paths
from src.data.log_end import log_end
from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.data.split_data import SplitData, T
from src.data.units import HOUR
from src.embeddings.base import QueryEncoder
from src.serving.query import MAX_EVENTS, NEW, Query


@dataclass(frozen=True)
class QuerySessions(Sessions):
    """Sessions of a split, and after them that of a query."""

    own_row: int  # first row of the session that the query stands for; -1 for none
    now: int  # time of a query without an event, in seconds

    def own_rows(self, first: int, end: int) -> I64:
        return np.full(end - first, self.own_row, np.int64)

    def last_ts(self, first: int, end: int) -> I32:
        """Return the time of the query, the only session that is asked for."""
        empty = self.offsets[-1] == self.offsets[-2]
        return np.array([self.now if empty else self.ts[-1]], np.int32)


class QueryData(SplitData):
    """A split whose only query is the one that was taken last.

    What is derived from the split is made from the stored sessions alone, and kept: counts,
    indices and vectors are those of the steps. One thread at a time may use the data.
    """

    def __init__(self, run: Run, split: str) -> None:
        """Read the sessions into arrays with room for a query behind them."""
        super().__init__(run, split)
        self.stored = Sessions.load(run, split)
        self.n_events, self.query_session = self.stored.item.size, self.n_sessions
        self._columns = {
            name: _with_room(getattr(self.stored, name)) for name in ("item", "ts", "type")
        }
        self._offsets = np.append(self.stored.offsets, self.n_events)
        self.stored = replace(self.stored, **self._views(0))  # type: ignore[arg-type]
        self.sessions = self.stored
        self.now = log_end(pl.LazyFrame({"ts": self.stored.ts}), HOUR)
        self.encoders: dict[str, QueryEncoder] = {
            row.name: row.query_encoder(run, split)
            for row in run.recipe.embeddings
            if row.makes_query_vectors
        }

    def take(self, query: Query) -> None:
        """Take the query that is answered next."""
        s, size = self.stored, query.item.size
        for name, column in self._columns.items():
            column[self.n_events : self.n_events + size] = getattr(query, name)
        self._offsets[-1] = self.n_events + size
        own_row = -1 if query.stands_for == NEW else int(s.offsets[query.stands_for])
        self.query, self.first_query = query, self.query_session
        self.n_sessions = self.query_session + 1
        self.sessions = QuerySessions(
            self._offsets, **self._views(size), n_items=s.n_items, first_query=self.first_query,
            own_row=own_row, now=self.now,
        )  # fmt: skip
        for name, encoder in self.encoders.items():
            vectors = encoder(self.sessions, self.first_query, self.n_sessions)
            self._cache[("query vectors", name)] = vectors

    def stored_query(self, session: int) -> Query:
        """Return the events, context and text of a session of the split as a query."""
        s, first, end = self.stored, *self.stored.offsets[session : session + 2]
        columns = pl.read_parquet_schema(paths.events(self.run, self.split))
        names = [name for name in columns if name not in EVENTS]
        context = {name: self.context(name)[first:end] for name in names}
        events = s.item[first:end], s.type[first:end], s.ts[first:end]
        return Query(*events, self.texts[session], context, session)

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        if self.is_cached(key):
            return super().cached(key, make)
        with self._stored_only():
            return super().cached(key, make)

    def query_texts(self, first: int, end: int) -> list[str]:
        if self.sessions is self.stored:
            return super().query_texts(first, end)
        return [self.query.text]

    def context(self, column: str) -> I32:
        """Return a context column of the stored events, then of the query's; 0 where unknown."""
        stored = super().context
        room = self.cached(("context with room", column), lambda: _with_room(stored(column)))
        size = self.sessions.item.size - self.n_events
        if size:
            room[self.n_events : self.n_events + size] = self.query.context.get(column, 0)
        return room[: self.n_events + size]

    @cached_property
    def usual_gap(self) -> int:
        """Median of the seconds from an event to the next one of its session."""
        same = np.ones(self.n_events + 1, np.bool_)
        same[self.stored.offsets] = False  # an event is the first of its session
        gaps = np.diff(self.stored.ts)[same[1 : self.n_events]]
        return int(np.median(gaps)) if gaps.size else 0

    @contextmanager
    def _stored_only(self) -> Iterator[None]:
        """Hide the query: sessions and queries are those of the split."""
        asked = self.sessions, self.first_query, self.n_sessions
        self.sessions, self.first_query = self.stored, self.stored.first_query
        self.n_sessions = self.query_session
        try:
            yield
        finally:
            self.sessions, self.first_query, self.n_sessions = asked

    def _views(self, size: int) -> dict[str, NDArray]:
        """Return item, ts and type of all events with `size` of the query, read-only."""
        views = {name: column[: self.n_events + size] for name, column in self._columns.items()}
        for view in views.values():
            view.flags.writeable = False  # as those of a file: numba compiles for one form
        return views


def _with_room(column: NDArray) -> NDArray:
    """Copy a column of events, with room for those of a query."""
    return np.append(column, np.zeros(MAX_EVENTS, column.dtype))
