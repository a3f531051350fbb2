"""List the blends of rankers that step 7 compares.

A weighted blend transforms the scores of each ranker within the query and sums them with weights.
RANK turns a score into its reciprocal rank, 1 / (RRF_K + rank), and SOFTMAX into its softmax. STACK
is a logistic regression on scores and reciprocal ranks of all rankers (src/blend/stacking.py).
SCORE takes the scores as they are: where rows of different queries are compared, they are log-odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

RANK, SOFTMAX, SCORE, STACK = "rank", "softmax", "score", "stack"
TRANSFORMS, POOLED = (RANK, SOFTMAX), (SCORE,)
"""Of weighted blends of lists, and of those of rows that are compared between queries."""
TENTHS = 10  # the weights of a blend are tenths
STACK_MODELS = 99  # n_models of stacking: above those of any weighted blend, so it comes last


class Blend(NamedTuple):
    """One way to blend rankers."""

    transform: str  # RANK, SOFTMAX, SCORE or STACK
    weights: tuple[int, ...]  # in tenths, one per ranker; empty for STACK

    @property
    def n_models(self) -> int:
        """Number of rankers with a weight above 0; STACK_MODELS for stacking."""
        return len(self.weights) - self.weights.count(0) if self.weights else STACK_MODELS


def single(transform: str, number: int, n_rankers: int) -> Blend:
    """Return the blend of one ranker alone."""
    return Blend(transform, tuple(TENTHS * (n == number) for n in range(n_rankers)))


def all_blends(n_rankers: int, transforms: Sequence[str] = TRANSFORMS) -> list[Blend]:
    """List the blends to try: equal weights, single rankers, all weights in tenths, stacking."""
    equal = Blend(transforms[0], (max(1, TENTHS // n_rankers),) * n_rankers)
    places = TENTHS + n_rankers - 1  # of tenths, and of the ends of all rankers but the last
    weights = [
        tuple(end - before - 1 for before, end in pairwise((-1, *ends, places)))
        for ends in combinations(range(places), n_rankers - 1)
    ]
    single = [Blend(transforms[0], w) for w in weights if max(w) == TENTHS]
    mixed = [Blend(t, w) for t in transforms for w in weights if max(w) < TENTHS]
    stacked = [Blend(STACK, ())] if n_rankers > 1 else []
    return list(dict.fromkeys([equal, *single, *mixed, *stacked]))
