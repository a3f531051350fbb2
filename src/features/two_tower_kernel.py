# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Fill the columns of TwoTowerFeature."""

from __future__ import annotations

from numba import njit, prange

from src.core.nearest_kernel import dot


@njit(parallel=True, cache=True)
def cosine_columns(candidates, queries, vectors, column, X):
    """Write the cosine of each candidate with the query vector of each objective.

    queries: float32 (objectives, queries, dim); vectors: float32 (items, dim); unit length.
    """
    for q in prange(candidates.offsets.size - 1):
        for r in range(candidates.offsets[q], candidates.offsets[q + 1]):
            for o in range(queries.shape[0]):
                X[r, column + o] = dot(queries[o, q], vectors[candidates.item[r]])
