"""Search exact nearest neighbours by inner product.

A matrix product preselects items. BLAS sums in an order that depends on the shape of the blocks. So
products of preselected items are summed again in a fixed order. Only those sums are compared and
returned: no byte depends on blocks or threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import get_num_threads
from threadpoolctl import threadpool_limits

from src.core import nearest_kernel as kernel
from src.core.arrays import F32, I32, I64

QUERIES, ITEMS = 256, 8192
"""Rows and columns of a block of products: 8 MiB for each thread."""
ROUNDING = 1e-5
"""Bound on the difference of two float32 sums of an inner product, for vectors of length 1."""


def nearest(queries: F32, items: F32, top: int, skip: I64 | None = None) -> tuple[I32, F32]:
    """Find the `top` rows of `items` with the highest products, best first; ties by row number.

    queries (n, dim), items (m, dim): float32. skip: int64 (n), row of items to leave out per query,
    or -1. Returns rows (int32, -1 where a list ends) and scores (float32, 0 there), both (n, top).
    Two threads must not call it at the same time: the limit of BLAS is that of the process.
    """
    skip = np.full(len(queries), -1, np.int64) if skip is None else skip
    score = np.full((len(queries), top), -np.inf, np.float32)
    index = np.full((len(queries), top), -1, np.int32)
    items = np.ascontiguousarray(items)
    longest = _longest(items)

    def search(first: int) -> None:
        rows = slice(first, first + QUERIES)
        block = np.ascontiguousarray(queries[rows])
        margin = np.float32(ROUNDING * longest * _longest(block))
        for i in range(0, len(items), ITEMS):
            approximate = block @ items[i : i + ITEMS].T
            kernel.insert_best(
                approximate, block, items, i, skip[rows], margin, score[rows], index[rows]
            )

    # a thread per block of queries: BLAS and a parallel kernel would wait for each other, spinning
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(get_num_threads()) as pool:
        list(pool.map(search, range(0, len(queries) if top else 0, QUERIES)))
    return index, np.where(index >= 0, score, np.float32(0.0))


def _longest(vectors: F32) -> float:
    """Return the length of the longest vector, at least 1."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    return float(np.sqrt(squares.max(initial=1.0)))
