# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Sum the leaves of compiled trees: evaluate all nodes of a tree, from the leaves to the root."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

ROWS = 256
"""Rows of features in a block: loops over them become vector instructions.

Indices are unsigned: numba checks the sign of others, which prevents vector instructions.
"""


@njit(cache=True, error_model="numpy")
def _encode(x, cuts, bits, missing, place, codes):
    """Write how many cuts are not above a value, for a block of rows of one column.

    x: float32. cuts: ascending, at least 2^bits - 1. missing: the code of NaN. place: scratch.
    """
    for r in range(np.uint64(ROWS)):
        place[r] = 0
    half = np.uint32((1 << bits) >> 1)
    while half:  # searches by halves: cuts[: place] are not above x
        for r in range(np.uint64(ROWS)):
            end = place[r] + half
            place[r] = end if x[r] >= cuts[np.uint64(end - np.uint32(1))] else place[r]
        half >>= np.uint32(1)
    for r in range(np.uint64(ROWS)):
        codes[r] = place[r]
    if missing:
        for r in range(np.uint64(ROWS)):
            codes[r] = missing if np.isnan(x[r]) else codes[r]


@njit(cache=True, error_model="numpy")
def _select_leaf(codes, column, threshold, leaf, node, chosen):
    """Write the leaf below a node whose children are leaves, for a block of rows."""
    for r in range(np.uint64(ROWS)):
        chosen[node, r] = leaf + np.uint8(codes[column, r] >= threshold)


@njit(cache=True, error_model="numpy")
def _select_child(codes, column, threshold, first, second, node, chosen):
    """Write the leaf below another node from those of its children, for a block of rows."""
    for r in range(np.uint64(ROWS)):
        of_first, of_second = chosen[first, r], chosen[second, r]
        chosen[node, r] = of_second if codes[column, r] >= threshold else of_first


@njit(cache=True, error_model="numpy")
def _add_trees(codes, column, threshold, leaf, chosen, total):
    """Add the value of each tree's leaf to `total`, for a block of rows; codes: (columns, ROWS).

    chosen: scratch, uint8 (nodes, ROWS).
    """
    inner = column.shape[1]
    lowest = inner // 2  # the first node whose children are leaves
    for tree in range(column.shape[0]):
        for n in range(inner - 1, -1, -1):
            c, t = np.uint64(column[tree, n]), threshold[tree, n]
            if n >= lowest:
                _select_leaf(codes, c, t, np.uint8(2 * (n - lowest)), np.uint64(n), chosen)
            else:
                left, right = np.uint64(2 * n + 1), np.uint64(2 * n + 2)
                _select_child(codes, c, t, left, right, np.uint64(n), chosen)
        for r in range(np.uint64(ROWS)):
            total[r] += leaf[np.uint64(tree), np.uint64(chosen[0, r])]


@njit(cache=True)
def _gather(X, rows, column, x):
    """Copy rows of a column of X to x."""
    for r in range(rows.size):
        x[np.uint64(r)] = X[np.uint64(rows[r]), column]


@njit(parallel=True, cache=True)
def margins(X, rows, columns, missing, bits, cuts, column, threshold, leaf, base):
    """Sum the trees for some rows of X: float32 (rows).

    columns: the column of X of each column of codes. The other arrays: see CompiledTrees.
    """
    out = np.empty(rows.size, np.float32)
    for b in prange((rows.size + ROWS - 1) // ROWS):
        first = b * ROWS
        n = min(ROWS, rows.size - first)
        x, place = np.zeros(ROWS, np.float32), np.empty(ROWS, np.uint32)
        codes = np.empty((columns.size, ROWS), threshold.dtype)
        for c in range(columns.size):
            _gather(X, rows[first : first + n], np.uint64(columns[c]), x)
            _encode(x, cuts[c], bits[c], missing[c], place, codes[c])
        chosen = np.empty((column.shape[1], ROWS), np.uint8)
        total = np.full(ROWS, base, np.float32)
        _add_trees(codes, column, threshold, leaf, chosen, total)
        out[first : first + n] = total[:n]
    return out
