"""A split as arrays, each read when first asked for, and a cache for what is derived from them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import TypeVar, cast

import polars as pl

from src.core.arrays import I32
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.data.splits import split_named

T = TypeVar("T")


class SplitData:
    """Sessions, items and context of one split.

    Retrievers and feature groups keep what they derive (an index, a table) in `cached`, under a key
    that begins with the name of what it is: two of them that need the same share it.
    """

    def __init__(self, run: Run, split: str) -> None:
        self.run, self.split = run, split
        known = split_named(run, split)
        self.n_sessions, self.first_query = known.sessions, known.first_query
        self._cache: dict[Hashable, object] = {}
        self._used: set[Hashable] = set()  # since `forget_unused`

    @property
    def n_queries(self) -> int:
        return self.n_sessions - self.first_query

    @property
    def n_items(self) -> int:
        return self.sessions.n_items

    @cached_property
    def sessions(self) -> Sessions:
        """All visible events as CSR."""
        return Sessions.load(self.run, self.split)

    @cached_property
    def items(self) -> pl.DataFrame:
        """items.parquet: a row per dense item."""
        return pl.read_parquet(paths.items(self.run))

    def context(self, column: str) -> I32:
        """A context column of all events; 0 where that is not known."""

        def read() -> I32:
            values = pl.read_parquet(paths.events(self.run, self.split), columns=[column])[column]
            return values.fill_null(0).clip(0).to_numpy()

        return self.cached(("context", column), read)

    def query_ts(self, first: int, end: int) -> I32:
        """Time of the last visible event of sessions first : end (int32, seconds)."""
        return self.sessions.last_ts(first, end)

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned when this key was first asked for."""
        self._used.add(key)
        if key not in self._cache:
            self._cache[key] = make()
        return cast(T, self._cache[key])

    def has(self, key: Hashable) -> bool:
        """Whether something is cached under this key."""
        return key in self._cache

    def forget_unused(self) -> None:
        """Drop what nobody has asked for since this was last called."""
        self._cache = {key: value for key, value in self._cache.items() if key in self._used}
        self._used.clear()

    def forget(self) -> None:
        """Drop all that is cached; sessions and items stay."""
        self._cache.clear()
