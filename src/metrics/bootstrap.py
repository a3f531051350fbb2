"""Compute 95 % intervals by a bootstrap over sessions, and paired differences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64
from src.metrics.query_scores import QueryScores

GROUPS = 20_000
"""Most groups of sessions that a bootstrap draws from: bounds its time and memory."""

DRAWS_AT_A_TIME = 50  # in memory as float64


def bootstrap(
    scores: list[QueryScores], weights: list[float], seed: int, draws: int = 1000
) -> tuple[F64, F64]:
    """Compute 95 % intervals (low, high) of each objective's score and, last, the weighted total.

    Sessions are drawn with Poisson(1) weights: Chamandy et al., 2012. A session has the same weight
    in all objectives. More than GROUPS sessions are drawn in GROUPS groups. As sessions are
    independent, this does not change the variance.
    """
    sessions = np.unique(np.concatenate([s.session for s in scores]))
    n_groups, sums = min(sessions.size, GROUPS), []
    for s in scores:
        group = np.searchsorted(sessions, s.session) % GROUPS
        sums += [np.bincount(group, x, n_groups) for x in (s.value, s.ideal)]
    totals = [weight @ np.column_stack(sums) for weight in _weights(n_groups, seed, draws)]
    value, ideal = np.concatenate(totals).reshape(draws, len(scores), 2).transpose(2, 0, 1)
    ratio = value / np.maximum(ideal, 1.0)
    ratio = np.column_stack([ratio, ratio @ np.array(weights)])
    low, high = np.quantile(ratio, [0.025, 0.975], axis=0)
    return low, high


def total_score(scores: list[QueryScores], weights: list[float]) -> float:
    """Sum the objectives' scores with their weights."""
    return sum(w * s.score() for w, s in zip(weights, scores, strict=True))


def paired_difference(scores: QueryScores, other_values: NDArray) -> QueryScores:
    """Subtract other values of the same queries from the values; ideals stay."""
    return QueryScores(scores.session, scores.value - other_values, scores.ideal)


def _weights(n_groups: int, seed: int, draws: int) -> Iterator[F64]:
    """Yield the weights of the groups in batches of draws: float64 (draws of a batch, groups)."""
    for batch in np.array_split(_poisson(n_groups, seed, draws), -(-draws // DRAWS_AT_A_TIME)):
        yield batch.astype(np.float64)


@lru_cache(maxsize=4)  # all comparisons on the same number of sessions use the same draws
def _poisson(n_groups: int, seed: int, draws: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).poisson(1.0, (draws, n_groups)).astype(np.uint8)
