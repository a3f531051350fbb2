"""95 % intervals by bootstrap over sessions, and paired differences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.query_scores import QueryScores

GROUPS = 20_000
"""Of sessions, at most, that a bootstrap draws."""


def bootstrap(
    scores: list[QueryScores], weights: list[float], seed: int, draws: int = 1000
) -> tuple[F64, F64]:
    """95 % intervals (low, high) of each objective's score, and last of the weighted total.

    Sessions are drawn with Poisson(1) weights (the bootstrap for big data of Chamandy et al.,
    2012); an objective's sessions share their weight with the other objectives'. More sessions than
    GROUPS are drawn as so many groups of them: independent sessions, so the variance is the same.
    """
    sessions = np.unique(np.concatenate([s.session for s in scores]))
    groups, sums = min(sessions.size, GROUPS), []
    for of in scores:
        group = np.searchsorted(sessions, of.session) % GROUPS
        sums += [np.bincount(group, x, groups) for x in (of.value, of.ideal)]
    totals = [drawn @ np.column_stack(sums) for drawn in _drawn(groups, seed, draws)]
    value, ideal = np.concatenate(totals).reshape(draws, len(scores), 2).transpose(2, 0, 1)
    ratio = value / np.maximum(ideal, 1.0)
    ratio = np.column_stack([ratio, ratio @ np.array(weights)])
    low, high = np.quantile(ratio, [0.025, 0.975], axis=0)
    return low, high


def total_score(scores: list[QueryScores], weights: list[float]) -> float:
    """Weighted sum of the objectives' scores."""
    return sum(w * s.score() for w, s in zip(weights, scores, strict=True))


def paired_difference(mine: QueryScores, others: NDArray) -> QueryScores:
    """What each query gains over other values of the same queries; the ideal stays the same."""
    return QueryScores(mine.session, mine.value - others, mine.ideal)


def _drawn(groups: int, seed: int, draws: int) -> Iterator[F64]:
    """How often each group is drawn, some draws at a time: (some of `draws`, groups)."""
    for some in np.array_split(_poisson(groups, seed, draws), -(-draws // 50)):
        yield some.astype(np.float64)


@lru_cache(maxsize=4)  # the same draws serve all that is compared on as many sessions
def _poisson(groups: int, seed: int, draws: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).poisson(1.0, (draws, groups)).astype(np.uint8)
