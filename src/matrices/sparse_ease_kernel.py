# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fit the ridge regression of each item on the items nearest to it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from src.core.topk_kernel import insert_top

LOOK_UP = 16  # steps that a search in a list takes, about


@njit(parallel=True, cache=True)
def fit(offsets, item, count, sessions, ridge, nearest, n_threads):
    """Fit each item: the number of its nearest, and these with their weights (items, nearest).

    offsets, item, count: sessions that have both of two items, as a symmetric CSR, items ascending.
    sessions: that have each item, float64.
    """
    n_items = offsets.size - 1
    size = np.zeros(n_items, np.int64)
    near = np.zeros((n_items, nearest), np.int32)
    weight = np.zeros((n_items, nearest), np.float32)
    for t in prange(n_threads):
        place = np.full(n_items, -1, np.int64)  # of each item among the nearest
        gram = np.empty((nearest, nearest), np.float64)
        cosine = np.empty(nearest, np.float32)
        solved = np.empty(nearest, np.float64)
        for y in range(t, n_items, n_threads):  # interleaved, as close ids cost about the same
            n = 0
            for i in range(offsets[y], offsets[y + 1]):
                x = item[i]
                closeness = count[i] / math.sqrt((sessions[x] + ridge) * (sessions[y] + ridge))
                n = insert_top(near[y], cosine, n, x, np.float32(closeness))
            for k in range(n):
                place[near[y, k]] = k
            for i in range(offsets[y], offsets[y + 1]):
                if place[item[i]] >= 0:
                    solved[place[item[i]]] = count[i]
            added, solvable = ridge, False
            while not solvable:
                gram[:n, :n] = 0.0
                for k in range(n):
                    x = near[y, k]
                    gram[k, k] = sessions[x] + added
                    _known(item, count, offsets[x], offsets[x + 1], near[y, :n], place, k, gram[k])
                solvable = _factorise(gram, n, ridge)
                added *= 4.0
            for k in range(n):
                place[near[y, k]] = -1
            _solve(gram, solved, n)
            for k in range(n):
                weight[y, k] = solved[k]
            size[y] = n
    return size, near, weight


@njit(inline="always")
def _known(item, count, first, end, near, place, k, row):
    """Write the counts of item k of `near` with those after it into a row of the Gram matrix.

    first : end are the pairs of item k; place: of each item in `near`. Walks through the pairs, or
    looks each item up where the item has far more pairs.
    """
    if end - first < LOOK_UP * near.size:
        for i in range(first, end):
            if place[item[i]] > k:
                row[place[item[i]]] = count[i]
    else:
        for j in range(k + 1, near.size):
            i = first + np.searchsorted(item[first:end], near[j])
            if i < end and item[i] == near[j]:
                row[j] = count[i]


@njit(inline="always")
def _factorise(gram, n, least):
    """Turn the upper triangle of gram[:n, :n] into its Cholesky factor; False if it has none.

    Pivots of a full Gram matrix are at least the ridge. With counts missing one may be less than
    `least`: then the matrix needs a larger ridge. Rows are subtracted from rows, which needs no sum
    in another order.
    """
    for k in range(n):
        if gram[k, k] < least * (1.0 - 1e-9):
            return False
        scale = 1.0 / math.sqrt(gram[k, k])
        for j in range(k, n):
            gram[k, j] *= scale
        for i in range(k + 1, n):
            factor = gram[k, i]
            if factor != 0.0:
                for j in range(i, n):
                    gram[i, j] -= factor * gram[k, j]
    return True


@njit(inline="always")
def _solve(factor, vector, n):
    """Solve F'F x = vector[:n] in place; factor: F in its upper triangle."""
    for k in range(n):
        vector[k] /= factor[k, k]
        for j in range(k + 1, n):
            vector[j] -= factor[k, j] * vector[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            vector[k] -= factor[k, j] * vector[j]
        vector[k] /= factor[k, k]
