"""Find the neighbours of every item by vectors, as CSR like those of a matrix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from src.core.arrays import F32, F64, I64, count_items, most_frequent
from src.core.nearest import nearest
from src.data.sessions import Sessions
from src.embeddings.base import ROWS_AT_A_TIME
from src.matrices.neighbours import Neighbours

POPULARITY_PRIOR = 0.5
"""Weight of ln(events of the target) beside the log-odds: fitted, bench/RESULTS.md."""
INVERSE_TEMPERATURE = 16.0
"""Neighbours weigh odds ** INVERSE_TEMPERATURE: sure ones lead where lists are merged. Fitted."""


def neighbours_by_likelihood(
    sources: F32, targets: F32, n: int, count: I64, max_items: int = 2**31
) -> Neighbours:
    """List the n other items that follow each item most likely, by a model of what follows what.

    sources, targets: float32 (items, dim). source . target is the log-odds that the target follows
    the source, against items drawn by their number of events; so that number is put back. (The
    softmax of a TwoTowerEmbedding is corrected for the draw: there the number is a prior.)
    count: events of each item. The weight of a neighbour is its odds against the first one's.
    """
    known, base = with_vectors(targets, count, max_items)
    prior = POPULARITY_PRIOR * np.log(np.maximum(count[base], 1))
    near = neighbours(sources, known, base, append_column(targets[base], prior), n)
    size, weight = np.diff(near.offsets), near.weight
    weight -= np.repeat(weight[near.offsets[:-1][size > 0]], size[size > 0])
    weight *= np.float32(INVERSE_TEMPERATURE)
    np.exp(weight, out=weight)
    return near


def neighbours_by_cosine(vectors: F32, n: int, count: I64, max_items: int = 2**31) -> Neighbours:
    """List the n other items of the highest cosine x ln(1 + count), at least 0.

    vectors: float32 (items, dim), unit length. By the cosine alone the nearest are the rarest items
    of a topic, which hardly anyone looks for.
    """
    known, base = with_vectors(vectors, count, max_items)
    scale = np.log1p(count[base])[:, None].astype(np.float32)
    targets = append_column(vectors[base] * scale, np.zeros(base.size))
    near = neighbours(vectors, known, base, targets, n)
    return replace(near, weight=np.maximum(near.weight, 0.0))


def with_vectors(targets: F32, count: I64, max_items: int) -> tuple[I64, I64]:
    """Find the items with a vector (not all zeros), and the most frequent of those.

    Only the `max_items` most frequent items are anyone's neighbours.
    """
    known = np.flatnonzero(targets.any(axis=1))
    return known, known[most_frequent(count[known], max_items)]


def append_column(vectors: F32, column: F64) -> F32:
    """Append one more number to each vector."""
    return np.column_stack([vectors, column.astype(np.float32)])


def neighbours(sources: F32, known: I64, base: I64, targets: F32, n: int) -> Neighbours:
    """List the n others of the items `base` with the highest score for each of the items `known`.

    targets: a row for each of `base`; its last number is added to the product of the others with
    the source. Ties go by item. The search is exact.
    """
    row_of = np.full(len(sources), -1)
    row_of[base] = np.arange(base.size)
    offsets = np.zeros(len(sources) + 1, np.int64)
    offsets[1:][known] = np.minimum(base.size - (row_of[known] >= 0), n)
    np.cumsum(offsets, out=offsets)
    item, weight = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    for first in range(0, known.size, ROWS_AT_A_TIME):
        batch = known[first : first + ROWS_AT_A_TIME]
        queries = append_column(sources[batch], np.ones(batch.size))
        near, score = nearest(queries, targets, n, skip=row_of[batch])
        filled, out = near >= 0, slice(offsets[batch[0]], offsets[batch[-1] + 1])
        item[out], weight[out] = base[near[filled]], score[filled]
    return Neighbours(offsets, item, weight)


def write_likely_neighbours(
    sources: F32, targets: F32, sessions: Sessions, n: int, max_items: int, path: Path
) -> None:
    """Write `neighbours_by_likelihood` as a table of item_x, item_y, weight."""
    count = count_items(sessions.item, sessions.n_items)
    near = neighbours_by_likelihood(sources, targets, n, count, max_items)
    near.to_frame().write_parquet(path)
