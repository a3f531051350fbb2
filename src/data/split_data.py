"""Give access to the data of a split: lazy arrays, and a cache for what is derived from them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import polars as pl

from src.core.arrays import F64, I32
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.data.splits import counted_split, fitted_split, split_named

T = TypeVar("T")


class SplitData:
    """Sessions, items and context of one split.

    Retrievers and feature groups share derived data, such as an index, through `cached`. A key
    begins with the name of the data.
    """

    def __init__(self, run: Run, split: str) -> None:
        self.run, self.split = run, split
        sizes = split_named(run, split)
        self.n_sessions, self.first_query = sizes.sessions, sizes.first_query
        self._cache: dict[Hashable, object] = {}
        self._others: dict[str, SplitData] = {}  # splits that `counted` and `fitted` have read
        self._used: set[Hashable] = set()  # keys read since the last `drop_unused`

    @property
    def n_queries(self) -> int:
        return self.n_sessions - self.first_query

    @property
    def has_visits(self) -> bool:
        """Whether queries are impressions with a log of the pages that their users opened."""
        return paths.log(self.run, "visits").exists()

    @property
    def n_items(self) -> int:
        return self.sessions.n_items

    @cached_property
    def sessions(self) -> Sessions:
        """Visible events of all sessions, as CSR."""
        return Sessions.load(self.run, self.split)

    @property
    def counted(self) -> SplitData:
        """The split whose events are counted for this one, mostly itself: `counted_split`."""
        return self._named(counted_split(self.run, self.split))

    @property
    def fitted(self) -> SplitData:
        """The split that matrices, vectors and statistics are made from: `fitted_split`."""
        return self._named(fitted_split(self.run, self.split))

    def _named(self, name: str) -> SplitData:
        if name == self.split:
            return self  # is not kept: in a cycle, mapped files would outlive the last reader
        if name not in self._others:
            self._others[name] = SplitData(self.run, name)
        return self._others[name]

    @cached_property
    def items(self) -> pl.DataFrame:
        """Attributes of all items: a row per dense item."""
        return pl.read_parquet(paths.items(self.run))

    @cached_property
    def texts(self) -> pl.Series:
        """Texts of all sessions (SESSIONS), "" for one without, as in a split without texts."""
        table = pl.read_parquet(paths.sessions(self.run, self.split))
        if "text" not in table.columns:
            return pl.Series([""] * table.height)
        return table["text"].fill_null("")

    def query_texts(self, first: int, end: int) -> list[str]:
        """Return the texts of sessions first : end."""
        return self.texts[first:end].to_list()

    def attribute(self, column: str) -> F64:
        """Return an attribute of all items: float64 (items), NaN where it is unknown.

        Raises ValueError where items have no such column of numbers.
        """
        values = self._item_column(
            column, "numbers", lambda dtype: dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)
        )
        return values.cast(pl.Float64).fill_null(np.nan).to_numpy()

    def text_attribute(self, column: str) -> pl.Series:
        """Return texts of all items; raise ValueError where items have no such column of texts."""
        return self._item_column(column, "texts", lambda dtype: dtype == pl.String)

    def _item_column(
        self, column: str, kind: str, is_of_kind: Callable[[pl.DataType], bool]
    ) -> pl.Series:
        path = paths.items(self.run)
        require_column(path, self.items.columns, column)
        values = self.items[column]
        if not is_of_kind(values.dtype):
            raise ValueError(
                f"{path}: column {column} has no {kind}, which a row of the recipe reads"
            )
        return values

    def context(self, column: str) -> I32:
        """Return a context column of all events; 0 where the value is unknown.

        Raises ValueError where events have no such column.
        """

        def read() -> I32:
            path = paths.events(self.run, self.split)
            require_column(path, pl.read_parquet_schema(path), column)
            values = pl.read_parquet(path, columns=[column])[column]
            return values.fill_null(0).clip(0).to_numpy()

        return self.cached(("context", column), read)

    def query_ts(self, first: int, end: int) -> I32:
        """Return the time of the last visible event of sessions first : end, in seconds: int32."""
        return self.sessions.last_ts(first, end)

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key; call `make` for it if the cache has none."""
        self._used.add(key)
        if key not in self._cache:
            self._cache[key] = make()
        return cast(T, self._cache[key])

    def is_cached(self, key: Hashable) -> bool:
        """Whether the cache has a value for the key."""
        return key in self._cache

    def forget(self, key: Hashable) -> None:
        """Drop the value of a key."""
        self._cache.pop(key, None)

    def drop_unused(self) -> None:
        """Drop values that were not read since the last call."""
        self._cache = {key: value for key, value in self._cache.items() if key in self._used}
        self._used.clear()

    def clear_cache(self) -> None:
        """Drop all values; sessions and items stay."""
        self._cache.clear()


def require_column(path: Path, columns: Iterable[str], name: str) -> None:
    """Raise ValueError where a row of the recipe names a column that a table lacks."""
    if name not in columns:
        raise ValueError(
            f"{path}: no column {name}, which a row of the recipe names; it has "
            f"{', '.join(columns)}"
        )
