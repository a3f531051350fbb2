# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""A forest on blocks of rows: every node of a tree is asked, and answers are chosen from below."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

BLOCK = 64  # rows at a time: loops over them become vector instructions
# unsigned numbers below: no test for negative places, which would forbid those


@njit(cache=True, error_model="numpy")
def _ask_lowest(x, feature, sign, threshold, no, yes, node, answer):
    """The answers of a node whose children are leaves, to a block of rows."""
    for r in range(np.uint64(BLOCK)):
        answer[node, r] = yes if sign * x[feature, r] >= threshold else no


@njit(cache=True, error_model="numpy")
def _ask(x, feature, sign, threshold, first, second, node, answer):
    """The answers of any other node, chosen from those of its children."""
    for r in range(np.uint64(BLOCK)):
        no, yes = answer[first, r], answer[second, r]
        answer[node, r] = yes if sign * x[feature, r] >= threshold else no


@njit(cache=True, error_model="numpy")
def _add_trees(x, feature, sign, threshold, leaf, answer, total):
    """Add to `total` what each tree says of a block of rows, x (columns, BLOCK)."""
    inner = feature.shape[1]
    lowest = inner // 2  # the first node whose children are leaves
    for tree in range(feature.shape[0]):
        for n in range(inner - 1, -1, -1):
            f, s, t = np.uint64(feature[tree, n]), sign[tree, n], threshold[tree, n]
            if n >= lowest:
                at = 2 * (n - lowest)
                no, yes = leaf[tree, at], leaf[tree, at + 1]
                _ask_lowest(x, f, s, t, no, yes, np.uint64(n), answer)
            else:
                first, second = np.uint64(2 * n + 1), np.uint64(2 * n + 2)
                _ask(x, f, s, t, first, second, np.uint64(n), answer)
        for r in range(BLOCK):
            total[r] += answer[0, r]


@njit(cache=True)
def _gather(X, rows, columns, x):
    """Some rows and columns of X, transposed."""
    for r in range(rows.size):
        row, place = np.uint64(rows[r]), np.uint64(r)
        for c in range(columns.size):
            x[np.uint64(c), place] = X[row, np.uint64(columns[c])]


@njit(parallel=True, cache=True)
def margins(X, rows, columns, feature, sign, threshold, leaf, base):
    """Sum of all trees for some rows of X; feature: places in `columns`, which are those of X."""
    out = np.empty(rows.size, np.float32)
    for b in prange((rows.size + BLOCK - 1) // BLOCK):
        first = b * BLOCK
        n = min(BLOCK, rows.size - first)
        x = np.zeros((columns.size, BLOCK), np.float32)
        answer = np.empty((feature.shape[1], BLOCK), np.float32)
        total = np.full(BLOCK, base, np.float32)
        _gather(X, rows[first : first + n], columns, x)
        _add_trees(x, feature, sign, threshold, leaf, answer, total)
        out[first : first + n] = total[:n]
    return out
