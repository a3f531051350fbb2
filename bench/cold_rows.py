"""Rows of MovieLens-100K in time windows, with columns for `bench.cold_titles`.

Nothing that a column tells is later than its row. Counts and rates of an item, and id vectors, are
those before the row's window. A user's history is what the user rated in an earlier second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.arrays import F32, F64, I64, Mask
from src.data.sessions import Sessions
from src.embeddings.base import unit
from src.embeddings.word2vec import Word2VecEmbedding

CLICK = 4.0  # lowest rating of a click
WINDOWS = 10  # of equally many ratings
FIRST, TEST = 2, 5  # windows 2 to 4 are learned from, 5 to 9 are scored
PRIOR = 5  # ratings by which a rate is shrunk to the mean
DIMS = 16  # first numbers of an item's vector that are columns
IDS = Word2VecEmbedding("ids", dim=32, window=10, epochs=20, min_count=3)


def read_atomic(path: Path) -> pl.DataFrame:
    """Read a file of RecBole as texts, without the types in its header."""
    table = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)
    return table.rename(lambda column: column.partition(":")[0])


@dataclass(frozen=True)
class Ratings:
    """All ratings, by user and then by time; and what is known of the items."""

    user: I64
    item: I64
    ts: I64
    click: F64
    window: I64
    texts: list[str]  # title and genres of each item
    year: F64  # of each item; NaN where unknown
    genres: F32  # 0 or 1: (items, genres)

    @classmethod
    def read(cls, folder: Path) -> Ratings:
        """Read ml-100k.inter and ml-100k.item, as RecBole ships them."""
        log, items = (read_atomic(folder / f"ml-100k.{name}") for name in ("inter", "item"))
        items = items.with_columns(
            pl.col("movie_title", "class").fill_null(""),
            year=pl.col("release_year").cast(pl.Float64, strict=False),
        ).with_row_index("row")
        log = log.with_columns(pl.col("user_id", "timestamp", "rating").cast(pl.Float64))
        log = log.join(items.select("item_id", "row"), on="item_id")
        log = log.sort("user_id", "timestamp", "row")
        ts = log["timestamp"].to_numpy().astype(np.int64)
        cuts = np.sort(ts)[np.arange(1, WINDOWS) * ts.size // WINDOWS]
        lists = items["class"].str.split(" ")
        names = sorted(set(lists.explode(empty_as_null=False)) - {""})
        return cls(
            user=log["user_id"].to_numpy().astype(np.int64),
            item=log["row"].to_numpy().astype(np.int64),
            ts=ts,
            click=(log["rating"].to_numpy() >= CLICK).astype(np.float64),
            window=np.searchsorted(cuts, ts, side="right"),
            texts=(items["movie_title"] + "; " + items["class"]).to_list(),
            year=items["year"].to_numpy(),
            genres=np.stack([lists.list.contains(name) for name in names], 1).astype(np.float32),
        )

    @property
    def n_items(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Window:
    """One window: its rows, and what was known when it began."""

    ratings: Ratings
    number: int
    hidden: Mask  # of items: no rating of theirs is known before or in the window
    scored: Mask  # of items: rows of the others are left out

    @cached_property
    def rows(self) -> I64:
        r = self.ratings
        return np.flatnonzero((r.window == self.number) & self.scored[r.item])

    @cached_property
    def before(self) -> Mask:
        """Which ratings are known when the window begins."""
        r = self.ratings
        return (r.window < self.number) & ~self.hidden[r.item]

    @cached_property
    def count(self) -> I64:
        """Ratings of each item before the window."""
        return np.bincount(self.ratings.item[self.before], minlength=self.ratings.n_items)

    def plain(self) -> F64:
        """Columns without vectors: of the user's history, and of the item before the window."""
        r, prior = self.ratings, float(self.ratings.click[self.before].mean())
        likes = np.bincount(r.item[self.before], r.click[self.before], minlength=r.n_items)
        rate = (likes + PRIOR * prior) / (self.count + PRIOR)
        number, liked = np.zeros((2, self.rows.size))
        for here, history in self.users():
            seen = r.ts[history] < r.ts[self.rows[here], None]
            number[here], liked[here] = seen.sum(1), seen @ r.click[history]
        item = r.item[self.rows]
        own = (liked + PRIOR * prior) / (number + PRIOR)
        columns = (np.log1p(number), own, np.log1p(self.count[item]), rate[item], r.year[item])
        return np.column_stack(columns)

    def users(self) -> list[tuple[I64, I64]]:
        """Pair rows of the window (numbers in `rows`) with the user's ratings that may be known."""
        r = self.ratings
        known = (r.window <= self.number) & ~self.hidden[r.item]
        users, first = np.unique(r.user[self.rows], return_index=True)
        pairs = []
        for here, user in zip(np.split(np.arange(self.rows.size), first[1:]), users, strict=True):
            low, high = np.searchsorted(r.user, (user, user + 1))
            pairs.append((here, low + np.flatnonzero(known[low:high])))
        return pairs

    def nearness(self, vectors: F32) -> F64:
        """Compare the item with the user's history by vectors: three columns.

        Mean click of the history, weighted by the cosine, less the mean of all; mean cosine with
        clicked items less that with the others; largest cosine with a clicked item.
        """
        r, prior = self.ratings, float(self.ratings.click[self.before].mean())
        found = np.zeros((self.rows.size, 3))
        for here, history in self.users():
            seen = (r.ts[history] < r.ts[self.rows[here], None]).astype(np.float64)
            cosine = vectors[r.item[self.rows[here]]] @ vectors[r.item[history]].T
            click, weight = r.click[history], np.maximum(cosine, 0) * seen
            found[here, 0] = (weight @ (click - prior)) / (weight.sum(1) + 1)
            liked, other = seen * click, seen * (1 - click)
            found[here, 1] = (cosine * liked).sum(1) / (liked.sum(1) + 1)
            found[here, 1] -= (cosine * other).sum(1) / (other.sum(1) + 1)
            found[here, 2] = (cosine * liked).max(axis=1, initial=0)
        return found

    def of_item(self, table: NDArray) -> NDArray:
        """Look up the rows' items in a table of columns (items, columns)."""
        return table[self.ratings.item[self.rows]]

    def id_vectors(self, seed: int) -> F32:
        """Train Word2Vec on what users clicked before the window: unit vectors, 0 for others."""
        r = self.ratings
        clicked = self.before & (r.click > 0)
        users, session = np.unique(r.user[clicked], return_inverse=True)
        offsets = np.searchsorted(session, np.arange(users.size + 1)).astype(np.int64)
        item = r.item[clicked].astype(np.int32)
        blank = np.zeros(item.size, np.int32)
        sessions = Sessions(offsets, item, blank, blank.astype(np.int8), r.n_items, users.size)
        return unit(IDS.train(sessions, IDS.epochs, seed)[0])
