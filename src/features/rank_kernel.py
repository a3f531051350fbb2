# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Rank the values of columns within each query."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

AT_A_TIME = 6  # columns ranked together: neighbouring columns share cache lines


@njit(fastmath={"reassoc"})  # sums of ones: exact in any order
def _ranks(values, n, nonzero, row, out):
    """Write to out[:n] the number of higher values for each of values[:n].

    Most values are 0, so only the others are compared with each other. nonzero, row: scratch.
    """
    n_nonzero, n_positive = 0, 0
    for r in range(n):
        if values[r] != 0.0:
            nonzero[n_nonzero], row[n_nonzero] = values[r], r
            n_nonzero += 1
            n_positive += 1 if values[r] > 0.0 else 0
    out[:n] = n_positive
    for p in range(n_nonzero):
        value, higher = nonzero[p], np.float32(0.0)
        for other in range(n_nonzero):
            higher += np.float32(1.0) if nonzero[other] > value else np.float32(0.0)
        out[row[p]] = higher if value > 0.0 else higher + np.float32(n - n_nonzero)


@njit(parallel=True, cache=True)
def rank_columns(offsets, sources, targets, X, n_threads):
    """Write the ranks of the columns `sources` of X to its columns `targets`.

    The highest value of a query has rank 0; ties share the best rank, and NaN is the lowest value.
    offsets: CSR of the queries.
    """
    n_queries = offsets.size - 1
    longest = np.diff(offsets).max()
    for t in prange(n_threads):
        values = np.empty((AT_A_TIME, longest), np.float32)
        ranks = np.empty((AT_A_TIME, longest), np.float32)
        nonzero, row = np.empty(longest, np.float32), np.empty(longest, np.int32)
        for q in range(n_queries * t // n_threads, n_queries * (t + 1) // n_threads):
            first, n = offsets[q], offsets[q + 1] - offsets[q]
            for k in range(0, sources.size, AT_A_TIME):
                n_columns = min(AT_A_TIME, sources.size - k)
                for r in range(n):
                    for c in range(n_columns):
                        value = X[first + r, sources[k + c]]
                        values[c, r] = -np.inf if np.isnan(value) else value
                for c in range(n_columns):
                    _ranks(values[c], n, nonzero, row, ranks[c])
                for r in range(n):
                    for c in range(n_columns):
                        X[first + r, targets[k + c]] = ranks[c, r]
