"""Compare the order of a pre-ranker with that of a ranker, over the whole pool of one query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau


def ranks(score: NDArray, item: NDArray) -> NDArray[np.int64]:
    """Rank candidates from 0, highest score first; ties go by item id."""
    rank = np.empty(score.size, np.int64)
    rank[np.lexsort((item, -score))] = np.arange(score.size)
    return rank


def hit_rate(ranker: NDArray, preranker: NDArray, k: int, n: int) -> float:
    """Return the share of the ranker's first k that are among the pre-ranker's first n.

    ranker, preranker: ranks of the candidates. A random order of N candidates has n / N.
    """
    return float((preranker[ranker < k] < n).mean())


def ndcg(ranker: NDArray, preranker: NDArray, k: int) -> float:
    """Return the NDCG@k of the pre-ranker's order; the gain is 1 / (1 + rank by the ranker).

    ranker, preranker: ranks of the candidates. Scores are no gains: those of different losses are
    not comparable.
    """
    discount = 1.0 / np.log2(2.0 + np.arange(min(k, ranker.size)))
    gain = 1.0 / (1.0 + ranker[np.argsort(preranker)])
    ideal = 1.0 / (1.0 + np.arange(discount.size))
    return float(gain[: discount.size] @ discount / (ideal @ discount))


def kendall_tau(ranker: NDArray, preranker: NDArray) -> float:
    """Return Kendall's tau-b of scores; NaN for a constant score or a single candidate."""
    return float(kendalltau(ranker, preranker).statistic) if ranker.size > 1 else float("nan")


def pair_accuracy(ranker: NDArray, preranker: NDArray) -> float:
    """Return the share of pairs that both scores order alike; a tie of either counts half.

    NaN for a single candidate.
    """
    first, second = np.triu_indices(ranker.size, 1)
    signs = [np.sign(score[first] - score[second]) for score in (ranker, preranker)]
    return float((0.5 + signs[0] * signs[1] / 2).mean()) if first.size else float("nan")
