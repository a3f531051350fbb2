"""Item vectors learned from sessions, and their nearest neighbours as a matrix.

Another family (matrix factorisation, Seq2Seq, two-tower) is a row class in `src/recipe.py` and a
function here that returns float32 vectors of shape (items, size); all else is shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from src.events import F32, I64, Sessions
from src.matrices import Matrix
from src.recipe import EmbeddingRow

BLOCK = 2**25  # cosines in memory at a time


class Sentences:
    """Sessions as lists of words, read as often as gensim likes."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.words = np.arange(sessions.n_items).astype(str).astype(object)

    def __iter__(self) -> Iterator[list[str]]:
        s = self.sessions
        for first, end in zip(s.offsets[:-1], s.offsets[1:], strict=True):
            if end - first > 1:
                yield self.words[s.aid[first:end]].tolist()


def word2vec(sessions: Sessions, row: EmbeddingRow, seed: int) -> F32:
    """Skip-gram with negative sampling (Mikolov et al., 2013); items that never occur stay 0.

    One worker: gensim is only reproducible then.
    """
    from gensim.models import Word2Vec

    vectors = np.zeros((sessions.n_items, row.size), np.float32)
    length = np.diff(sessions.offsets)
    read = np.repeat(length > 1, length)
    if np.bincount(sessions.aid[read], minlength=1).max() < row.min_count:
        return vectors
    model = Word2Vec(
        Sentences(sessions), vector_size=row.size, window=row.window, sg=1, hs=0,
        negative=row.negative, ns_exponent=row.ns_exponent, min_count=row.min_count,
        epochs=row.epochs, sample=1e-3, seed=seed, workers=1,
    )  # fmt: skip
    vectors[np.array(model.wv.index_to_key, dtype=np.int64)] = model.wv.vectors
    return unit(vectors)


def unit(vectors: F32) -> F32:
    """Rows scaled to length 1; zero rows stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)


def neighbours(vectors: F32, n: int, count: I64) -> Matrix:
    """The n other items of the highest cosine x ln(1 + count), ties by item id; exact search.

    count: events of each item. By cosine alone the nearest are the rarest items of a topic, which
    nobody asks for: recall@20 of a next new click by the last item was .021 on the demo, and .261
    weighted so (.264 by the matrix near3).
    """
    loud = np.log1p(count).astype(np.float32)
    known = np.flatnonzero(np.abs(vectors).sum(axis=1) > 0)
    n = min(n, max(known.size - 1, 0))
    aid = np.full((vectors.shape[0], n), -1, np.int32)
    weight = np.zeros((vectors.shape[0], n), np.float32)
    base = np.ascontiguousarray(vectors[known].T)
    block = max(1, BLOCK // max(known.size, 1))
    for first in range(0, known.size, block):
        rows = known[first : first + block]
        scores = (vectors[rows] @ base) * loud[known]
        scores[np.arange(rows.size), np.arange(first, first + rows.size)] = -np.inf
        # ties at the border of the partition could go either way: order all that reach it
        border = -np.partition(-scores, n - 1, axis=1)[:, n - 1] if n else np.zeros(rows.size)
        for r, x in enumerate(rows):
            near = np.flatnonzero(scores[r] >= border[r])
            near = near[np.lexsort((near, -scores[r, near]))][:n]
            aid[x], weight[x] = known[near], scores[r, near]
    filled = aid >= 0
    offsets = np.concatenate([[0], np.cumsum(filled.sum(axis=1))]).astype(np.int64)
    return Matrix(offsets, aid[filled], np.maximum(weight[filled], 0.0))


def save(path: Path, vectors: F32) -> None:
    with open(path, "wb") as f:
        np.save(f, vectors)


def load(path: Path) -> F32:
    """Vectors memory-mapped from disk."""
    return np.load(path, mmap_mode="r")
