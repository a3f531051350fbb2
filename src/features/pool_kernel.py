# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of PoolFeature."""

from __future__ import annotations

from enum import CONTINUOUS, UNIQUE, IntEnum, verify

from numba import njit, prange


@verify(UNIQUE, CONTINUOUS)
class PoolColumn(IntEnum):
    """Columns of the candidate in the pool; the columns of the retrievers stand after them."""

    RRF_SCORE = 0
    POOL_RANK = 1


N_POOL = len(PoolColumn)


@njit(parallel=True, cache=True)
def pool_columns(offsets, rrf_score, ranks, scores, column, X):
    """Write the columns of PoolColumn, then the ranks by every retriever, then the scores.

    offsets: CSR of the queries. ranks, scores: (candidates, retrievers).
    """
    n_retrievers = ranks.shape[1]
    for q in prange(offsets.size - 1):
        for r in range(offsets[q], offsets[q + 1]):
            X[r, column + PoolColumn.RRF_SCORE] = rrf_score[r]
            X[r, column + PoolColumn.POOL_RANK] = r - offsets[q]
            for n in range(n_retrievers):
                # ABSENT, not NaN: missing values make XGBoost's histograms sparse and slow
                X[r, column + N_POOL + n] = ranks[r, n]
                X[r, column + N_POOL + n_retrievers + n] = scores[r, n]
