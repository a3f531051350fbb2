# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of MatrixFeature and EmbeddingFeature.

A thread fills all rows of a query, in a fixed order. Names of indices: query q, candidate r of the
query, history item u, weighting w, column c.
"""

from __future__ import annotations

from enum import CONTINUOUS, UNIQUE, IntEnum, verify
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from src.core.arrays import F32
from src.core.hash_kernel import FREE, NUMBER, clear_table, find_slot, table_bits
from src.features.weightings_kernel import N_LATEST, N_WEIGHTINGS


@verify(UNIQUE, CONTINUOUS)
class Aggregate(IntEnum):
    """How a column aggregates the scores of a candidate and the history items."""

    SUM = 0  # sum of the weighted scores
    MEAN = 1  # weighted mean of the scores
    MAX = 2  # largest weighted score, at least 0
    LATEST = 3  # score of the item of one of the latest events
    N_ABOVE = 4  # number of history items whose score is above the threshold


class Totals(NamedTuple):
    """Running totals of the candidates of one query, a row each."""

    sums: F32  # (candidates, weightings)
    maxima: F32  # (candidates, weightings)
    latest: F32  # (candidates, N_LATEST)
    n_above: F32  # (candidates,)


@njit
def _totals(n):
    return Totals(
        np.zeros((n, N_WEIGHTINGS), np.float32),
        np.zeros((n, N_WEIGHTINGS), np.float32),
        np.zeros((n, N_LATEST), np.float32),
        np.zeros(n, np.float32),
    )


@njit(forceinline=True)
def _reset(totals, n):
    totals.sums[:n] = 0.0
    totals.maxima[:n] = 0.0
    totals.latest[:n] = 0.0
    totals.n_above[:n] = 0.0


@njit(forceinline=True)
def _add(totals, r, score, history, u, threshold):
    """Add the score of history item u and candidate r to the totals."""
    for w in range(N_WEIGHTINGS):
        totals.sums[r, w] += score * history.total[u, w]
        totals.maxima[r, w] = max(totals.maxima[r, w], score * history.largest[u, w])
    if history.latest[u]:
        for back in range(N_LATEST):
            if history.latest[u] >> back & 1:
                totals.latest[r, back] = score
    totals.n_above[r] += 1.0 if score > threshold else 0.0


@njit(forceinline=True)
def _write(totals, q, history, candidates, codes, column, scale, X):
    """Write the columns of query q. scale: scratch for 1 / sum of the weights, by weighting."""
    for w in range(N_WEIGHTINGS):
        scale[w] = np.float32(0.0)
        for u in range(history.offsets[q], history.offsets[q + 1]):
            scale[w] += history.total[u, w]
        scale[w] = np.float32(1.0) / max(scale[w], np.float32(1e-9))
    first = candidates.offsets[q]
    for r in range(candidates.offsets[q + 1] - first):
        for c in range(codes.shape[0]):
            aggregate, number = codes[c, 0], codes[c, 1]
            if aggregate == Aggregate.SUM:
                value = totals.sums[r, number]
            elif aggregate == Aggregate.MEAN:
                value = totals.sums[r, number] * scale[number]
            elif aggregate == Aggregate.MAX:
                value = totals.maxima[r, number]
            elif aggregate == Aggregate.LATEST:
                value = totals.latest[r, number]
            else:
                value = totals.n_above[r]
            X[first + r, column + c] = value


@njit(parallel=True, cache=True)
def matrix_columns(
    candidates,
    history,
    near_offsets,
    near_item,
    near_weight,
    threshold,
    codes,
    column,
    X,
    n_threads,
):
    """Write the columns of MatrixFeature.

    near: neighbours of each item and their weights, CSR. codes: int64 (columns, 2), an Aggregate
    and the number of its weighting; LATEST has the number of events back instead.
    """
    n_queries = candidates.offsets.size - 1
    longest = np.diff(candidates.offsets).max()
    for t in prange(n_threads):
        totals, scale = _totals(longest), np.zeros(N_WEIGHTINGS, np.float32)
        slots = np.empty(1 << table_bits(longest), np.int64)  # hash table: candidate to row
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            first, n = candidates.offsets[q], candidates.offsets[q + 1] - candidates.offsets[q]
            if n == 0:
                continue
            bits = clear_table(slots, n)
            for r in range(n):
                item = np.int64(candidates.item[first + r])
                slots[find_slot(slots, bits, item)] = item << 32 | r
            _reset(totals, n)
            for u in range(history.offsets[q], history.offsets[q + 1]):
                x = history.item[u]
                if x < 0:
                    break
                for j in range(near_offsets[x], near_offsets[x + 1]):
                    slot = slots[find_slot(slots, bits, near_item[j])]
                    if slot != FREE:
                        _add(totals, slot & NUMBER, near_weight[j], history, u, threshold)
            _write(totals, q, history, candidates, codes, column, scale, X)


@njit(forceinline=True, fastmath={"reassoc", "contract", "nsz"})
def _dot(a, i, b, j):
    total = np.float32(0.0)
    for d in range(a.shape[1]):
        total += a[i, d] * b[j, d]
    return total


@njit(parallel=True, cache=True)
def vector_columns(
    candidates, history, sources, vectors, threshold, codes, column, X, n_threads
):  # fmt: skip
    """Write the columns of EmbeddingFeature.

    sources: vectors of history items; vectors: of candidates. codes: as in `matrix_columns`.
    """
    n_queries = candidates.offsets.size - 1
    longest = np.diff(candidates.offsets).max()
    for t in prange(n_threads):
        totals, scale = _totals(longest), np.zeros(N_WEIGHTINGS, np.float32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            first, n = candidates.offsets[q], candidates.offsets[q + 1] - candidates.offsets[q]
            _reset(totals, n)
            for u in range(history.offsets[q], history.offsets[q + 1]):
                if history.item[u] < 0:
                    break
                for r in range(n):
                    cosine = _dot(sources, history.item[u], vectors, candidates.item[first + r])
                    _add(totals, r, cosine, history, u, threshold)
            _write(totals, q, history, candidates, codes, column, scale, X)
