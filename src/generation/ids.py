"""Semantic ids: a few codes per item, from its vector, so that similar items share a prefix.

Residual k-means: the first code is the nearest centre, the next one the centre nearest to what is
left, and so on. A last code tells apart the items whose other codes are equal. Rajput et al.,
"Recommender Systems with Generative Retrieval", NeurIPS 2023, learn the centres with an autoencoder
instead (rq_vae.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from src.core.arrays import F32, F64, I32, I64

FULL = 20_000  # vectors up to which all are clustered at a time; above, in batches
BATCH = 4096  # vectors of a step of the clustering in batches
ROWS_AT_A_TIME = 2**14  # vectors that are compared with all centres at a time


class Ids(NamedTuple):
    """Codes of all items: int32 (items, levels); -1 of items that have no id.

    centres: of the levels whose codes all prefixes share, as far as they are known: float32
    (codes, dim of the vectors).
    """

    codes: I32
    sizes: tuple[int, ...]  # number of codes of each level, that of the last one too
    centres: tuple[F32, ...] = ()

    @property
    def items(self) -> I64:
        """Items that have an id, ascending."""
        return np.flatnonzero(self.codes[:, 0] >= 0)


class Quantiser(NamedTuple):
    """How vectors become codes.

    sizes: codes of each level but the last. nested: the centres of a level belong to one prefix
    each; else all prefixes share them. balance: a code has at most so many times the mean number of
    items; inf: any number. autoencoder: epochs of an RQ-VAE that learns the centres, beginning with
    those of k-means, and what is quantised; None: vectors are quantised as they are.
    """

    sizes: tuple[int, ...]
    nested: bool = False
    balance: float = np.inf
    autoencoder: int | None = None


def semantic_ids(vectors: F32, listed: I64, quantiser: Quantiser, seed: int) -> Ids:
    """Give an id to each listed item.

    vectors: float32 (items, dim). listed: items, most frequent first; of those with equal codes the
    first gets 0 as its last code. Without sizes, that is all there is: one code an item.
    """
    rest, codes = vectors[listed].astype(np.float32), np.zeros((listed.size, 0), np.int64)
    centres: list[F32] = []
    learned: list[F32] = []
    with threadpool_limits(1):  # the same centres with any number of threads
        if quantiser.autoencoder and len(rest):
            from src.generation.rq_vae import autoencoded  # loads torch

            settings = quantiser.sizes, quantiser.autoencoder, seed
            rest, learned = autoencoded(rest, *settings, centres_of=_centres)
        for level, size in enumerate(quantiser.sizes):
            whole = [np.arange(listed.size)]
            code = np.empty(listed.size, np.int64)
            for rows in same_codes(codes) if quantiser.nested else whole:
                centre = learned[level] if learned else _centres(rest[rows], size, seed + level)
                code[rows] = _assign(
                    rest[rows], centre, quantiser.balance if len(centre) == size else np.inf
                )
                rest[rows] -= centre[code[rows]]
                centres.append(centre)
            codes = np.column_stack([codes, code])
    ids = _with_last(codes, listed, len(vectors), quantiser.sizes)
    return ids if quantiser.nested else ids._replace(centres=tuple(centres))


def random_ids(n_items: int, listed: I64, sizes: tuple[int, ...], seed: int) -> Ids:
    """Give random codes, to compare with."""
    rng = np.random.default_rng(seed)
    codes = [rng.integers(size, size=listed.size) for size in sizes]
    table = np.column_stack(codes) if codes else np.zeros((listed.size, 0), np.int64)
    return _with_last(table, listed, n_items, sizes)


def same_codes(codes: I64 | I32) -> list[I64]:
    """Return the rows of each different id, in the order of the rows; codes: (rows, levels)."""
    if not len(codes) or not codes.shape[1]:
        return [np.arange(len(codes))]
    number = np.unique(codes, axis=0, return_inverse=True)[1]
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


def _with_last(codes: I64, listed: I64, n_items: int, sizes: tuple[int, ...]) -> Ids:
    last = np.empty(listed.size, np.int64)
    for rows in same_codes(codes):
        last[rows] = np.arange(rows.size)
    table = np.full((n_items, len(sizes) + 1), -1, np.int32)
    table[listed] = np.column_stack([codes, last])
    return Ids(table, (*sizes, int(last.max(initial=0)) + 1))


def _centres(vectors: F32, size: int, seed: int) -> F32:
    """Return `size` centres of vectors, or fewer where there are fewer different vectors.

    Empty clusters are seeded again, by scikit-learn.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans

    n = min(size, len(np.unique(vectors, axis=0)))
    if not n:
        return np.zeros((0, vectors.shape[1]), np.float32)
    if len(vectors) <= FULL:
        model = KMeans(n, n_init=1, max_iter=50, random_state=seed)
    else:
        model = MiniBatchKMeans(n, n_init=1, batch_size=BATCH, random_state=seed)
    return np.asarray(model.fit(vectors).cluster_centers_, np.float32)


def _assign(vectors: F32, centres: F32, balance: float) -> I64:
    """Return the nearest centre of each vector that has room; the nearest vectors come first.

    Vectors that find their centre full ask the next one.
    """
    limit = np.ceil(balance * len(vectors) / max(len(centres), 1))
    code, room = np.full(len(vectors), -1), np.full(len(centres), limit)
    todo = np.arange(len(vectors))
    while todo.size:
        near, distance = _nearest(vectors[todo], centres, room > 0)
        order = np.lexsort((distance, near))
        first = np.searchsorted(near[order], near[order])
        taken = order[np.arange(todo.size) - first < room[near[order]]]
        code[todo[taken]] = near[taken]
        room -= np.bincount(near[taken], minlength=room.size)
        todo = todo[code[todo] < 0]
    return code


def _nearest(vectors: F32, centres: F32, open_: np.ndarray) -> tuple[I64, F64]:
    """Find the nearest open centre of each vector, and the square of the distance less |v|²."""
    length = np.where(open_, (centres.astype(np.float64) ** 2).sum(axis=1), np.inf)
    near, distance = np.empty(len(vectors), np.int64), np.empty(len(vectors))
    for first in range(0, len(vectors), ROWS_AT_A_TIME):
        rows = slice(first, first + ROWS_AT_A_TIME)
        table = length - 2 * vectors[rows] @ centres.T
        near[rows], distance[rows] = table.argmin(axis=1), table.min(axis=1)
    return near, distance
