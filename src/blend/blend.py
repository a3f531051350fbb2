"""List the blends of rankers that step 7 compares.

A weighted blend transforms the scores of each ranker within the query and sums them with weights.
RANK turns a score into its reciprocal rank, 1 / (RRF_K + rank), and SOFTMAX into its softmax. STACK
is a logistic regression on scores and reciprocal ranks of all rankers (src/blend/stacking.py).
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

RANK, SOFTMAX, STACK = "rank", "softmax", "stack"
TRANSFORMS = (RANK, SOFTMAX)  # of weighted blends
TENTHS = 10  # the weights of a blend are tenths
STACK_MODELS = 99  # n_models of stacking: above those of any weighted blend, so it comes last


class Blend(NamedTuple):
    """One way to blend rankers."""

    transform: str  # RANK, SOFTMAX or STACK
    weights: tuple[int, ...]  # in tenths, one per ranker; empty for STACK

    @property
    def n_models(self) -> int:
        """Number of rankers with a weight above 0; STACK_MODELS for stacking."""
        return len(self.weights) - self.weights.count(0) if self.weights else STACK_MODELS


def all_blends(n_rankers: int) -> list[Blend]:
    """List the blends to try: equal weights, single rankers, all weights in tenths, stacking."""
    equal = Blend(RANK, (max(1, TENTHS // n_rankers),) * n_rankers)
    weights = [w for w in product(range(TENTHS + 1), repeat=n_rankers) if sum(w) == TENTHS]
    single = [Blend(RANK, w) for w in weights if max(w) == TENTHS]
    mixed = [Blend(t, w) for t in TRANSFORMS for w in weights if max(w) < TENTHS]
    stacked = [Blend(STACK, ())] if n_rankers > 1 else []
    return list(dict.fromkeys([equal, *single, *mixed, *stacked]))
