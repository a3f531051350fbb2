"""List the grades of scored items by rank, under a convention for equal scores."""

from __future__ import annotations

from typing import Literal

import numpy as np

from src.core.arrays import F32, F64, I32, I64, positions

Ties = Literal["item", "averaged", "worst"]


def ranked_grades(
    offsets: I64, item: I32, score: F32, grade: F32, k: int, ties: Ties = "item"
) -> F64:
    """Rank the items of each query by score: grades, float64 (queries, at most k), 0 at the end.

    offsets: CSR of the items by query. ties, the order of equal scores: "item", by item id, as all
    lists of this code; "worst", by grade, the lowest first; "averaged", each has the mean of their
    grades, as in scikit-learn. The mean is the expected value under a random order for metrics that
    are sums over ranks, which are linear in the grade: NDCG with linear gain. For another gain,
    give gains as grades.
    """
    query = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    order = np.lexsort((grade if ties == "worst" else item, -score, query))
    ranked, rank = grade[order].astype(np.float64), positions(offsets)
    if ties == "averaged":
        new = (rank == 0) | (np.diff(score[order], prepend=0) != 0)
        group = np.cumsum(new) - 1
        ranked = (np.bincount(group, ranked) / np.bincount(group))[group]
    sizes = np.minimum(np.diff(offsets), k)
    table = np.zeros((sizes.size, max(1, int(sizes.max(initial=0)))))
    table[query[rank < k], rank[rank < k]] = ranked[rank < k]
    return table
