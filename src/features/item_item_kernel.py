# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill columns of item-item scores: of history items and candidates, weighted and aggregated.

Queries are split over threads. One thread fills the rows of a query, in a fixed order.
"""

from __future__ import annotations

from enum import CONTINUOUS, UNIQUE, IntEnum, verify
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from src.core.arrays import F32
from src.features.weightings_kernel import N_LATEST, N_WEIGHTINGS


@verify(UNIQUE, CONTINUOUS)
class Cell(IntEnum):
    """What a column holds of the scores of a candidate and the history items."""

    SUM = 0  # of the weighted scores
    MEAN = 1  # of the scores, weighted
    MAX = 2  # of the weighted scores; at least 0
    LATEST = 3  # the score beside one of the latest events
    N_ABOVE = 4  # history items whose score is above the threshold


class Totals(NamedTuple):
    """Running totals of the candidates of one query: a row each."""

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
    """Add the score of history item u and candidate r."""
    for w in range(N_WEIGHTINGS):
        totals.sums[r, w] += score * history.total[u, w]
        totals.maxima[r, w] = max(totals.maxima[r, w], score * history.largest[u, w])
    if history.latest[u]:
        for b in range(N_LATEST):
            if history.latest[u] >> b & 1:
                totals.latest[r, b] = score
    totals.n_above[r] += 1.0 if score > threshold else 0.0


@njit(forceinline=True)
def _write(totals, q, history, candidates, cells, column, scale, X):
    """Write the cells of query q; scale: scratch, 1 / sum of the weights per weighting."""
    for w in range(N_WEIGHTINGS):
        scale[w] = np.float32(0.0)
        for u in range(history.offsets[q], history.offsets[q + 1]):
            scale[w] += history.total[u, w]
        scale[w] = np.float32(1.0) / max(scale[w], np.float32(1e-9))
    first = candidates.offsets[q]
    for r in range(candidates.offsets[q + 1] - first):
        for c in range(cells.shape[0]):
            cell, which = cells[c, 0], cells[c, 1]
            if cell == Cell.SUM:
                value = totals.sums[r, which]
            elif cell == Cell.MEAN:
                value = totals.sums[r, which] * scale[which]
            elif cell == Cell.MAX:
                value = totals.maxima[r, which]
            elif cell == Cell.LATEST:
                value = totals.latest[r, which]
            else:
                value = totals.n_above[r]
            X[first + r, column + c] = value


@njit(forceinline=True)
def _bits(n):
    """Logarithm of the slots of a hash table that n keys fill by half at most."""
    bits = 4
    while 1 << bits < 2 * n:
        bits += 1
    return bits


@njit(forceinline=True)
def _slot(x, bits):
    return np.uint64(x) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - bits)


@njit(parallel=True, cache=True)
def matrix_columns(
    candidates,
    history,
    near_offsets,
    near_item,
    near_weight,
    threshold,
    cells,
    column,
    X,
    n_threads,
):
    """Write the cells of the weights of candidates among the neighbours of history items.

    near: CSR of the items; a candidate that is no neighbour has weight 0. cells: int64
    (columns, 2), a Cell and its weighting; behind LATEST stands how many events back.
    """
    n_queries = candidates.offsets.size - 1
    longest = np.diff(candidates.offsets).max()
    for t in prange(n_threads):
        totals, scale = _totals(longest), np.zeros(N_WEIGHTINGS, np.float32)
        row = np.full(1 << _bits(longest), -1, np.int32)  # hash table of the query's candidates
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            first, n = candidates.offsets[q], candidates.offsets[q + 1] - candidates.offsets[q]
            if n == 0:
                continue
            bits = _bits(n)
            mask = np.uint64((1 << bits) - 1)
            row[: 1 << bits] = -1
            for r in range(n):
                k = _slot(candidates.item[first + r], bits)
                while row[k] >= 0:
                    k = (k + np.uint64(1)) & mask
                row[k] = r
            _reset(totals, n)
            for u in range(history.offsets[q], history.offsets[q + 1]):
                x = history.item[u]
                if x < 0:
                    break
                for j in range(near_offsets[x], near_offsets[x + 1]):
                    k = _slot(near_item[j], bits)
                    while row[k] >= 0 and candidates.item[first + row[k]] != near_item[j]:
                        k = (k + np.uint64(1)) & mask
                    if row[k] >= 0:
                        _add(totals, row[k], near_weight[j], history, u, threshold)
            _write(totals, q, history, candidates, cells, column, scale, X)


@njit(forceinline=True, fastmath={"reassoc", "contract", "nsz"})
def _dot(a, i, b, j):
    total = np.float32(0.0)
    for d in range(a.shape[1]):
        total += a[i, d] * b[j, d]
    return total


@njit(parallel=True, cache=True)
def vector_columns(
    candidates, history, sources, vectors, threshold, cells, column, X, n_threads
):  # fmt: skip
    """Write the cells of sources[history item] . vectors[candidate]; cells: see matrix_columns."""
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
            _write(totals, q, history, candidates, cells, column, scale, X)
