"""Item vectors learned from sessions, and their nearest neighbours as a matrix.

Another family is a row class in `src/rows/` and a line in `train` of `src/learned.py`; the
neighbours and what looks at them are shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from src import search
from src.events import F32, I64, Sessions
from src.matrices import Matrix
from src.rows.embeddings import Word2VecRow


class Sentences:
    """Sessions as lists of words, read as often as gensim likes."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.words = np.arange(sessions.n_items).astype(str).astype(object)

    def __iter__(self) -> Iterator[list[str]]:
        s = self.sessions
        pairs = zip(s.offsets[:-1], s.offsets[1:], strict=True)
        told = {"total": s.n_sessions, "leave": False, "disable": None, "delay": 2}
        for first, end in tqdm(pairs, "word2vec, one pass", **told):
            if end - first > 1:
                yield self.words[s.aid[first:end]].tolist()


def word2vec(sessions: Sessions, row: Word2VecRow, seed: int) -> F32:
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


def content(path: Path, key: str, aids: pl.Series) -> F32:
    """Vectors of the items `aids` (raw ids, ascending) from a CSV file; 0 where it has none.

    A line with a missing or a wrong number, like the last one of a truncated copy, counts as none.
    """
    names = pl.scan_csv(path, n_rows=0).collect_schema().names()
    if key not in names or len(names) < 2:
        raise ValueError(f"{path}, line 1: no column {key} beside those of the vectors")
    types = {name: pl.Int64 if name == key else pl.Float32 for name in names}
    lines = pl.scan_csv(path, schema=types, ignore_errors=True).drop_nulls()
    table = lines.filter(pl.col(key).is_in(aids.implode())).collect().unique(key, keep="first")
    numbers = table.drop(key).to_numpy()
    vectors = np.zeros((aids.len(), numbers.shape[1]), np.float32)
    sound = np.isfinite(numbers).all(axis=1)
    vectors[aids.search_sorted(table[key]).to_numpy()[sound]] = numbers[sound]
    return unit(vectors)


def unit(vectors: F32) -> F32:
    """Rows scaled to length 1; zero rows stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)


def neighbours(
    vectors: F32, n: int, count: I64, among: int = 2**31, sources: F32 | None = None
) -> Matrix:
    """The n other items of the highest cosine x ln(1 + count), ties by item id; exact search.

    sources: vectors of the items that look, where they differ from those looked at. count: events
    of each item; only the `among` most frequent items are anyone's neighbours. By cosine alone the
    nearest are the rarest items of a topic, which nobody asks for: recall@20 of a next new click by
    the last item was .021 on the demo, and .261 weighted so (.264 by the matrix near3).
    """
    known = np.flatnonzero(np.abs(vectors).sum(axis=1) > 0)
    base = known[search.frequent(count[known], among)]
    place = np.full(vectors.shape[0], -1)
    place[base] = np.arange(base.size)
    loud = np.log1p(count[base]).astype(np.float32)
    looking = (vectors if sources is None else sources)[known]
    near, weight = search.nearest(looking, vectors[base], n, loud, place[known])
    filled = near >= 0
    size = np.zeros(vectors.shape[0], np.int64)
    size[known] = filled.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    return Matrix(offsets, base[near[filled]].astype(np.int32), np.maximum(weight[filled], 0.0))


def save(path: Path, vectors: F32) -> None:
    with open(path, "wb") as f:
        np.save(f, vectors)


def load(path: Path) -> F32:
    """Vectors memory-mapped from disk."""
    return np.load(path, mmap_mode="r", allow_pickle=False)
