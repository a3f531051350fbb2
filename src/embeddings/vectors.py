"""Item vectors learned from sessions, and their nearest neighbours as a matrix.

Another family is a row class in `src/rows/` and a line in `train` of `src/embeddings/train.py`; the
neighbours and what looks at them are shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from src.core import nearest as search
from src.core.arrays import F32, F64, I64, count_items
from src.data.sessions import Sessions
from src.embeddings.rows import Word2VecEmbedding
from src.matrices.neighbours import Neighbours

POPULARITY_PRIOR = 0.5  # ln(events of an item) is multiplied by it, and added to its log-odds
SOURCES = 2**16  # looked up at a time
INVERSE_TEMPERATURE = (
    16.0  # neighbours weigh odds ** SHARP: the sure ones lead where lists are merged
)


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
                yield self.words[s.item[first:end]].tolist()


def word2vec(sessions: Sessions, row: Word2VecEmbedding, seed: int) -> tuple[F32, F32]:
    """Vectors of items as the words that are given, and as those around them; unseen ones 0.

    Skip-gram with negative sampling (Mikolov et al., 2013). One worker: gensim is only
    reproducible then.
    """
    from gensim.models import Word2Vec

    given, around = np.zeros((2, sessions.n_items, row.size), np.float32)
    length = np.diff(sessions.offsets)
    read = np.repeat(length > 1, length)
    if count_items(sessions.item[read], sessions.n_items).max(initial=0) < row.min_count:
        return given, around
    model = Word2Vec(
        Sentences(sessions), vector_size=row.size, window=row.window, sg=1, hs=0,
        negative=row.negative, ns_exponent=row.ns_exponent, min_count=row.min_count,
        epochs=row.epochs, sample=1e-3, seed=seed, workers=1,
    )  # fmt: skip
    items = np.array(model.wv.index_to_key, dtype=np.int64)
    given[items], around[items] = model.wv.vectors, model.syn1neg
    return given, around


def content(path: Path, key: str, item_ids: pl.Series) -> F32:
    """Vectors of the items `item_ids` (raw ids, ascending) from a CSV file; 0 where it has none.

    A line with a missing or a wrong number, like the last one of a truncated copy, counts as none.
    """
    names = pl.scan_csv(path, n_rows=0).collect_schema().names()
    if key not in names or len(names) < 2:
        raise ValueError(f"{path}, line 1: no column {key} beside those of the vectors")
    types = {name: pl.Int64 if name == key else pl.Float32 for name in names}
    lines = pl.scan_csv(path, schema=types, ignore_errors=True).drop_nulls()
    table = lines.filter(pl.col(key).is_in(item_ids.implode())).collect().unique(key, keep="first")
    numbers = table.drop(key).to_numpy()
    vectors = np.zeros((item_ids.len(), numbers.shape[1]), np.float32)
    sound = np.isfinite(numbers).all(axis=1)
    vectors[item_ids.search_sorted(table[key]).to_numpy()[sound]] = numbers[sound]
    return unit(vectors)


def unit(vectors: F32) -> F32:
    """Rows scaled to length 1; zero rows stay zero."""
    found = np.empty(vectors.shape, np.float32)
    for first in range(0, len(vectors), SOURCES):
        some = vectors[first : first + SOURCES]
        length = np.linalg.norm(some, axis=1, keepdims=True)
        found[first : first + SOURCES] = some / np.maximum(length, 1e-12)
    return found


def likely(sources: F32, targets: F32, n: int, count: I64, among: int = 2**31) -> Neighbours:
    """The n other items that follow each most likely, by a model of what follows what.

    source . target: log-odds that the one follows the other, against items drawn by their number
    of events. So that number is put back. (A TwoTowerEmbedding's are not against such a draw: for it
    this is a prior.) LOUD and SHARP are fitted: the tables of bench/RESULTS.md.
    """
    known, base = with_vectors(targets, count, among)
    more = POPULARITY_PRIOR * np.log(np.maximum(count[base], 1))
    near = neighbours(sources, known, base, beside(targets[base], more), n)
    size, weight = np.diff(near.offsets), near.weight
    weight -= np.repeat(weight[near.offsets[:-1][size > 0]], size[size > 0])
    weight *= np.float32(INVERSE_TEMPERATURE)
    np.exp(weight, out=weight)
    return near


def alike(vectors: F32, n: int, count: I64, among: int = 2**31) -> Neighbours:
    """The n other items of the highest cosine x ln(1 + count).

    By cosine alone the nearest are the rarest items of a topic, which nobody asks for.
    """
    known, base = with_vectors(vectors, count, among)
    loud = np.log1p(count[base])[:, None].astype(np.float32)
    near = neighbours(vectors, known, base, beside(vectors[base] * loud, np.zeros(base.size)), n)
    return replace(near, weight=np.maximum(near.weight, 0.0))


def with_vectors(targets: F32, count: I64, among: int) -> tuple[I64, I64]:
    """The items that have one (rows that are 0 have none), and the most frequent of those.

    count: events of each item; only the `among` most frequent items are anyone's neighbours.
    """
    known = np.flatnonzero(targets.any(axis=1))
    return known, known[search.frequent(count[known], among)]


def beside(vectors: F32, more: F64) -> F32:
    """The vectors with one more number each."""
    return np.column_stack([vectors, more.astype(np.float32)])


def neighbours(sources: F32, known: I64, base: I64, targets: F32, n: int) -> Neighbours:
    """The n others of the items `base` that each of the items `known` likes best; exact search.

    targets: a row for each of `base`, whose last number is added to the product of the others with
    the source. Ties go by item id.
    """
    place = np.full(len(sources), -1)
    place[base] = np.arange(base.size)
    offsets = np.zeros(len(sources) + 1, np.int64)
    offsets[1:][known] = np.minimum(base.size - (place[known] >= 0), n)
    np.cumsum(offsets, out=offsets)
    item, weight = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    for first in range(0, known.size, SOURCES):
        mine = known[first : first + SOURCES]
        near, score = search.nearest(beside(sources[mine], np.ones(mine.size)), targets, n,
                                     place[mine])  # fmt: skip
        filled, at = near >= 0, slice(offsets[mine[0]], offsets[mine[-1] + 1])
        item[at], weight[at] = base[near[filled]], score[filled]
    return Neighbours(offsets, item, weight)


def save(path: Path, vectors: F32) -> None:
    with open(path, "wb") as f:
        np.save(f, vectors)


def load(path: Path) -> F32:
    """Vectors memory-mapped from disk."""
    return np.load(path, mmap_mode="r", allow_pickle=False)
