"""Vectorise the texts of sessions and items, and turn sparse scores into lists."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse

from src.core.arrays import I64
from src.data.schemas import TopLists

MAX_TEXT = 1_000  # letters of a text that are read


def normalised(text: str) -> str:
    """Lower a text, and leave letters, digits and symbols, with single spaces between words.

    A text of punctuation alone is "".
    """
    plain = unicodedata.normalize("NFKC", text[:MAX_TEXT]).casefold()
    words = re.sub(r"[^\w\s]|_", lambda m: m[0] if _is_symbol(m[0]) else " ", plain)
    return " ".join(words.split())


def _is_symbol(letter: str) -> bool:
    """Whether a mark says something, as an emoji does."""
    return unicodedata.category(letter) == "So"


Vectorise = Callable[[Sequence[str]], sparse.csr_matrix]
"""Turns normalised texts into vectors: float64 (texts, columns)."""


def by_equality(known: Sequence[str]) -> Vectorise:
    """Vectorise texts so that one and an equal known one have the product 1, others 0.

    "" equals nothing.
    """
    number = {name: n for n, name in enumerate(sorted(set(known) - {""}))}

    def vectorise(texts: Sequence[str]) -> sparse.csr_matrix:
        rows = [row for row, text in enumerate(texts) if text in number]
        columns = [number[texts[row]] for row in rows]
        shape = (len(texts), max(len(number), 1))
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape)

    return vectorise


def by_ngrams(known: Sequence[str]) -> Vectorise:
    """Vectorise texts by TF-IDF of 2 to 4 letters within words, as the known ones weigh."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # a letter alone gives " a" and "a "
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    try:
        grams.fit(known)
    except ValueError:  # no text has a letter
        return lambda texts: sparse.csr_matrix((len(texts), 1))
    return lambda texts: sparse.csr_matrix(grams.transform(texts))


def top_of_csr(scores: sparse.csr_matrix, top: int) -> TopLists:
    """List the columns with the highest scores above 0 of each row; ties by column."""
    item = np.full((scores.shape[0], top), -1, np.int32)
    score = np.zeros((scores.shape[0], top), np.float32)
    for row in range(scores.shape[0]):
        part = slice(scores.indptr[row], scores.indptr[row + 1])
        columns, values = scores.indices[part], scores.data[part].astype(np.float32)
        order = best(columns, values, top)
        item[row, : order.size], score[row, : order.size] = columns[order], values[order]
    return item, score


def first_of_csr(scores: sparse.csr_matrix, top: int) -> sparse.csr_matrix:
    """Keep the highest scores above 0 of each row, in float32; ties by column."""
    item, score = top_of_csr(scores, top)
    row, rank = np.nonzero(item >= 0)
    values = score[row, rank].astype(np.float64)
    return sparse.csr_matrix((values, (row, item[row, rank])), scores.shape)


def best(columns: np.ndarray, values: np.ndarray, top: int) -> I64:
    """Return the positions of the highest values above 0, highest first; ties by column."""
    kept = np.flatnonzero(values > 0)
    if kept.size > top:
        least = np.partition(values[kept], kept.size - top)[kept.size - top]
        kept = kept[values[kept] >= least]
    order: I64 = kept[np.lexsort((columns[kept], -values[kept]))][:top]
    return order
