"""List items whose names have the words of the query's text: BM25."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from scipy import sparse

from src.candidates import texts
from src.candidates.base import Retriever
from src.core.arrays import F64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.shards import batches
from src.data.split_data import SplitData

QUERIES = 256  # compared with all items at a time
K1, B = 1.2, 0.75


@dataclass(frozen=True)
class ItemNameRetriever(Retriever):
    """Lists items by BM25 of the query's text over their names, times events ** popularity.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009. Only items with an event
    in the split are listed. A query without a text gets an empty list; one without an event is no
    special case.
    """

    columns: tuple[str, ...] = ("title",)  # of items.parquet, texts
    popularity: float = 0.3
    top: int = 255

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Return the events, the texts of the sessions, and the names of the items."""
        return [*super().inputs(run, split), paths.sessions(run, split), paths.items(run)]

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of the weights of the words, and of a batch of scores."""
        return 1500.0 * count_rows(paths.items(run))

    def causal(self) -> Self | None:
        """Return None, as events of the whole split are counted."""
        return None

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Multiply the words of each query with those of all items."""
        words, weights = data.cached(("item names", self.columns), lambda: self._weights(data))
        scale = data.cached(("item name scale", self.popularity), lambda: self._scale(data))
        found = []
        for low, high in batches(first, end, QUERIES):
            asked = words.transform(map(texts.normalised, data.query_texts(low, high)))
            asked.data[:] = 1
            scores = sparse.csr_matrix((asked @ weights).multiply(scale))
            found.append(texts.top_of_csr(scores, self.top))
        item, score = zip(*found, strict=True)
        return np.concatenate(item), np.concatenate(score)

    def _scale(self, data: SplitData) -> F64:
        """Return the factor of each item: float64 (items), 0 for one without an event."""
        count = data.sessions.count_items()
        return np.where(count > 0, np.maximum(count, 1.0) ** self.popularity, 0.0)

    def _weights(self, data: SplitData) -> tuple[Any, sparse.csr_matrix]:
        """Return the words, and the weight of each in the names of each item: (words, items)."""
        from sklearn.feature_extraction.text import CountVectorizer

        columns = [data.text_attribute(column) for column in self.columns]
        named = pl.concat_str(columns, separator=" ", ignore_nulls=True)
        names = pl.select(named).to_series().fill_null("")
        words = CountVectorizer(token_pattern=r"\S+", lowercase=False)
        counts = sparse.csr_matrix(
            words.fit_transform([*(texts.normalised(name) for name in names), "a"])[:-1]
        ).astype(np.float64)
        length = np.asarray(counts.sum(axis=1)).ravel()
        with_word = np.asarray((counts > 0).sum(axis=0)).ravel()
        idf = np.log1p((len(names) - with_word + 0.5) / (with_word + 0.5))
        long = K1 * (1 - B + B * length / max(length.mean(), 1e-9))
        row = np.repeat(np.arange(len(names)), np.diff(counts.indptr))
        counts.data *= (K1 + 1) / (counts.data + long[row]) * idf[counts.indices]
        return words, counts.T.tocsr()
