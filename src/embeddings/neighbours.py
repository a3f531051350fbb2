"""List the nearest neighbours of every item by its vectors, in the form of an item-item matrix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from src.core.arrays import F32, F64, I64, most_frequent
from src.core.nearest import nearest
from src.embeddings.base import ROWS_AT_A_TIME, Embedding
from src.matrices.neighbours import Neighbours

POPULARITY_PRIOR = 0.5
"""Factor of ln(events of the target) beside the log-odds; chosen in bench/RESULTS.md."""
INVERSE_TEMPERATURE = 16.0
"""Exponent of the odds that are the weight of a neighbour; chosen in bench/RESULTS.md.

With a higher one, likely neighbours lead more clearly where the lists of several items are added.
"""


def neighbours_by_likelihood(
    sources: F32, targets: F32, n: int, count: I64, max_items: int
) -> Neighbours:
    """List the n other items that are most likely to follow each item.

    sources, targets: float32 (items, dim). count: events of each item. The score of a target is
    source . target + POPULARITY_PRIOR * ln(count). The product is the log-odds that the target
    follows the source and is no negative. Negatives are drawn by popularity, so the product lacks
    it, and the second term adds it. (A TwoTowerEmbedding corrects its loss for the draw; there the
    second term is a prior.) The weight of a neighbour is its odds divided by those of the first
    neighbour, to the power INVERSE_TEMPERATURE.
    """
    known, listed = listed_items(targets, count, max_items)
    prior = POPULARITY_PRIOR * np.log(np.maximum(count[listed], 1))
    near = search(sources, known, listed, append_column(targets[listed], prior), n)
    size, weight = np.diff(near.offsets), near.weight
    weight -= np.repeat(weight[near.offsets[:-1][size > 0]], size[size > 0])
    weight *= np.float32(INVERSE_TEMPERATURE)
    np.exp(weight, out=weight)
    return near


def neighbours_by_cosine(
    vectors: F32, n: int, count: I64, max_items: int, sources: F32 | None = None
) -> Neighbours:
    """List the n other items with the highest cosine x ln(1 + count); negative weights become 0.

    vectors: float32 (items, dim), unit length. sources: those of items as the first of a pair,
    where they are others. By the cosine alone the nearest items are the rarest ones of a topic,
    which few sessions want.
    """
    known, listed = listed_items(vectors, count, max_items)
    scale = np.log1p(count[listed])[:, None].astype(np.float32)
    targets = append_column(vectors[listed] * scale, np.zeros(listed.size))
    near = search(vectors if sources is None else sources, known, listed, targets, n)
    return replace(near, weight=np.maximum(near.weight, 0.0))


def listed_items(targets: F32, count: I64, max_items: int) -> tuple[I64, I64]:
    """Find the items that get neighbours, and those that may be neighbours; both ascend.

    The first have a vector that is not all zeros, the second are the max_items most frequent ones
    of these.
    """
    known = np.flatnonzero(targets.any(axis=1))
    return known, known[most_frequent(count[known], max_items)]


def append_column(vectors: F32, column: F64) -> F32:
    """Append a number to each vector."""
    return np.column_stack([vectors, column.astype(np.float32)])


def search(sources: F32, known: I64, listed: I64, targets: F32, n: int) -> Neighbours:
    """List the n best neighbours of each item of `known` among the other items of `listed`.

    sources (items, dim). targets (listed, dim + 1): the last number is added to the product of the
    others with the source. Ties go by item. The search is exact.
    """
    row_of = np.full(len(sources), -1)
    row_of[listed] = np.arange(listed.size)
    offsets = np.zeros(len(sources) + 1, np.int64)
    offsets[1:][known] = np.minimum(listed.size - (row_of[known] >= 0), n)
    np.cumsum(offsets, out=offsets)
    item, weight = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    for first in range(0, known.size, ROWS_AT_A_TIME):
        batch = known[first : first + ROWS_AT_A_TIME]
        queries = append_column(sources[batch], np.ones(batch.size))
        near, score = nearest(queries, targets, n, skip=row_of[batch])
        filled, out = near >= 0, slice(offsets[batch[0]], offsets[batch[-1] + 1])
        item[out], weight[out] = listed[near[filled]], score[filled]
    return Neighbours(offsets, item, weight)


def write_neighbours_by_likelihood(
    row: Embedding, sources: F32, targets: F32, count: I64, path: Path
) -> None:
    """Write `neighbours_by_likelihood` as a parquet file of item_x, item_y, weight."""
    near = neighbours_by_likelihood(sources, targets, row.top_n, count, row.max_items)
    near.to_frame().write_parquet(path)


def write_neighbours_by_cosine(
    row: Embedding, vectors: F32, count: I64, path: Path, sources: F32 | None = None
) -> None:
    """Write `neighbours_by_cosine` as a parquet file of item_x, item_y, weight."""
    near = neighbours_by_cosine(vectors, row.top_n, count, row.max_items, sources)
    near.to_frame().write_parquet(path)
