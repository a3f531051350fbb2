"""Neighbours by text: the cosine of TF-IDF vectors of the words of items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import polars as pl
from scipy import sparse

from src.core.parquet import TableWriter, count_rows
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.matrices.base import ItemMatrix
from src.matrices.neighbours import NEIGHBOURS, Neighbours, top_of_rows

RANGE = 1_000  # items whose cosines are made at a time


@dataclass(frozen=True)
class TextMatrix(ItemMatrix):
    """Cosine of the texts of two items, above 0: TF-IDF of words.

    An item without a text has no neighbours. No event is read, so the matrix is causal as it is.
    """

    made_ahead: ClassVar[bool] = False

    column: str = "title"  # of items.parquet
    top_n: int = 50  # neighbours kept: by cosine, ties by item id

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.items(run)]

    @classmethod
    def write(cls, data: SplitData, rows: dict[Path, Self]) -> None:
        """Compute the rows one by one."""
        run, n_items = data.run, count_rows(paths.items(data.run))
        for path, row in rows.items():
            disk = 8.0 * n_items * min(row.top_n, n_items)
            run.budget.claim(f"{data.split} {row.name}", 16 * RANGE * n_items, disk)
            texts = data.text_attribute(row.column)
            with TableWriter(path, NEIGHBOURS) as writer:
                for first, near in row.neighbours(texts):
                    writer.add(near.to_frame(first))

    def neighbours(self, texts: pl.Series) -> Iterator[tuple[int, Neighbours]]:
        """Yield the first item of each range, and the neighbours of its items."""
        vectors = tf_idf(texts.fill_null("").to_list())
        for first in range(0, texts.len(), RANGE):
            cosine = (vectors[first : first + RANGE] @ vectors.T).toarray().astype(np.float32)
            own = np.arange(len(cosine))
            cosine[own, first + own] = 0.0
            yield first, top_of_rows(cosine, self.top_n)


def tf_idf(texts: list[str]) -> sparse.csr_matrix:
    """Vectorise texts by their words: float64 (texts, terms), unit length or 0."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    terms = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    try:
        return sparse.csr_matrix(terms.fit_transform(texts))
    except ValueError:  # no text has a word
        return sparse.csr_matrix((len(texts), 1))
