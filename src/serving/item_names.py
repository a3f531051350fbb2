"""Find items by raw id or by title."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from scipy import sparse

from src.candidates import texts
from src.core.arrays import I64

ITEM = "item_id"
COLUMNS = 2
"""Columns of texts that make the title of an item: song and artist, say."""
BETWEEN = " · "
NUMBER = "-?[0-9]{1,19}"
LEAST, MOST = -(2**63), 2**63 - 1
"""Numbers that are ids."""
CLOSEST = 3
"""Items that are suggested for one that is not known."""


@dataclass(frozen=True)
class ItemNames:
    """Raw ids and titles of all items; events: of each item, the more come first."""

    ids: pl.Series  # Int64 or String
    titles: pl.Series  # String, "" where an item has none
    events: I64

    @classmethod
    def of(cls, items: pl.DataFrame, events: I64) -> ItemNames:
        """Take the first columns of texts of items.parquet as titles."""
        texts_of = items.select(pl.col(pl.String)).drop(ITEM, strict=False)
        parts = texts_of.select(texts_of.columns[:COLUMNS])
        if not parts.width:
            return cls(items[ITEM], pl.Series([""] * items.height, dtype=pl.String), events)
        joined = parts.select(pl.concat_str(pl.all(), separator=BETWEEN, ignore_nulls=True))
        return cls(items[ITEM], joined.to_series().fill_null(""), events)

    @cached_property
    def has_titles(self) -> bool:
        return bool((self.titles != "").any())

    @cached_property
    def order(self) -> I64:
        """Dense ids in the order of the raw ids."""
        return self.ids.arg_sort().to_numpy().astype(np.int64)

    @cached_property
    def sorted_ids(self) -> pl.Series:
        return self.ids.gather(self.order)

    @cached_property
    def plain(self) -> pl.Series:
        """Titles as they are compared."""
        return pl.Series([texts.normalised(title) for title in self.titles], dtype=pl.String)

    @cached_property
    def by_plain(self) -> dict[str, int]:
        """Item of each title, and of the first part of it: the most frequent, ties by item."""
        found: dict[str, int] = {}
        for item in np.argsort(-self.events, kind="stable").tolist():
            for name in (self.plain[item], texts.normalised(self.titles[item].split(BETWEEN)[0])):
                if name:
                    found.setdefault(name, item)
        return found

    def known(self, name: str) -> int | None:
        """Return the dense id of a raw id, or of a title; None if there is none."""
        if (item := self._by_id(name)) is not None or not self.has_titles:
            return item
        return self.by_plain.get(texts.normalised(name))

    def find(self, name: str) -> int:
        """Return the dense id of a raw id, or of a title; ValueError, with close ones, if none."""
        if (item := self.known(name)) is not None:
            return item
        close = "; ".join(map(self.describe, self.closest(name)))
        what = "id or title" if self.has_titles else "id"
        raise ValueError(
            f"no item has the {what} {name[:60]!r} (one with blanks stands in quotes)"
            + (f"; the closest: {close}" if close else "")
        )

    def describe(self, item: int) -> str:
        """Write an item for a message: its raw id, and its title if there is one."""
        return f"{self.ids[item]} {self.titles[item]}".strip()

    def closest(self, name: str, n: int = CLOSEST) -> list[int]:
        """List items with titles, or else ids, close to a name; none for a name of another kind."""
        if self.has_titles:
            vectorise, known = self._ngrams
            product = sparse.csr_matrix(vectorise([texts.normalised(name)]) @ known)
            item, _ = texts.top_of_csr(product, n)
            if found := [int(i) for i in item[0] if i >= 0]:
                return found
        if (at := self._place(name)) is None:
            return []
        first = int(np.clip(at - n // 2, 0, max(self.ids.len() - n, 0)))
        return self.order[first : first + n].tolist()

    def search(self, words: str, n: int) -> list[int]:
        """List items whose id begins with the words, or whose title has all; frequent ones first.

        An item that has this very id or title comes before them. No words: the most frequent items.
        """
        wanted = texts.normalised(words).split()
        ids = self.ids.cast(pl.String)
        mask = ids.str.starts_with(words.strip())
        if wanted and self.has_titles:
            has_all = pl.Series([True]).new_from_index(0, ids.len())
            for word in wanted:
                has_all &= self.plain.str.contains(word, literal=True)
            mask |= has_all
        found = np.flatnonzero(mask.to_numpy())
        other = found != self.known(words.strip())
        return found[np.lexsort((-self.events[found], other))[:n]].tolist()

    @cached_property
    def _ngrams(self) -> tuple[texts.Vectorise, sparse.csr_matrix]:
        names = self.plain.to_list()
        vectorise = texts.by_ngrams(names)
        return vectorise, vectorise(names).T.tocsr()

    def _place(self, name: str) -> int | None:
        """Return the place among the sorted ids where an id would stand; None for no id."""
        if self.ids.dtype == pl.String:
            return int(self.sorted_ids.search_sorted(name))
        if not re.fullmatch(NUMBER, name) or not LEAST <= int(name) <= MOST:
            return None
        return int(self.sorted_ids.search_sorted(int(name)))

    def _by_id(self, name: str) -> int | None:
        at = self._place(name)
        if at is not None and at < self.ids.len() and str(self.sorted_ids[at]) == name:
            return int(self.order[at])
        return None
