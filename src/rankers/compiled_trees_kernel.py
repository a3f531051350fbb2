# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Sum the leaves of compiled trees: evaluate all nodes of a tree, from the leaves to the root."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

ROWS = 64
"""Rows of features in a block: loops over them become vector instructions.

Indices are unsigned: numba checks the sign of others, which prevents vector instructions.
"""


@njit(cache=True, error_model="numpy")
def _select_leaf(x, feature, sign, threshold, first, second, node, value):
    """Write the value of a node whose children are leaves, for a block of rows."""
    for r in range(np.uint64(ROWS)):
        value[node, r] = second if sign * x[feature, r] >= threshold else first


@njit(cache=True, error_model="numpy")
def _select_child(x, feature, sign, threshold, first, second, node, value):
    """Write the value of another node from the values of its children, for a block of rows."""
    for r in range(np.uint64(ROWS)):
        of_first, of_second = value[first, r], value[second, r]
        value[node, r] = of_second if sign * x[feature, r] >= threshold else of_first


@njit(cache=True, error_model="numpy")
def _add_trees(x, feature, sign, threshold, leaf, value, total):
    """Add the value of each tree's root to `total`, for a block of rows x (columns, ROWS).

    value: scratch (nodes, ROWS).
    """
    inner = feature.shape[1]
    lowest = inner // 2  # the first node whose children are leaves
    for tree in range(feature.shape[0]):
        for n in range(inner - 1, -1, -1):
            f, s, t = np.uint64(feature[tree, n]), sign[tree, n], threshold[tree, n]
            if n >= lowest:
                child = 2 * (n - lowest)
                first, second = leaf[tree, child], leaf[tree, child + 1]
                _select_leaf(x, f, s, t, first, second, np.uint64(n), value)
            else:
                left, right = np.uint64(2 * n + 1), np.uint64(2 * n + 2)
                _select_child(x, f, s, t, left, right, np.uint64(n), value)
        for r in range(ROWS):
            total[r] += value[0, r]


@njit(cache=True)
def _gather(X, rows, columns, x):
    """Copy rows and columns of X to x, transposed."""
    for r in range(rows.size):
        row, to = np.uint64(rows[r]), np.uint64(r)
        for c in range(columns.size):
            x[np.uint64(c), to] = X[row, np.uint64(columns[c])]


@njit(parallel=True, cache=True)
def margins(X, rows, columns, feature, sign, threshold, leaf, base):
    """Sum the trees for some rows of X: float32 (rows).

    columns: columns of X; feature: indices of `columns`. The other arrays: see CompiledTrees.
    """
    out = np.empty(rows.size, np.float32)
    for b in prange((rows.size + ROWS - 1) // ROWS):
        first = b * ROWS
        n = min(ROWS, rows.size - first)
        x = np.zeros((columns.size, ROWS), np.float32)
        value = np.empty((feature.shape[1], ROWS), np.float32)
        total = np.full(ROWS, base, np.float32)
        _gather(X, rows[first : first + n], columns, x)
        _add_trees(x, feature, sign, threshold, leaf, value, total)
        out[first : first + n] = total[:n]
    return out
