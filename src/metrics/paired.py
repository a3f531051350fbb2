"""Differences of total scores on the same queries, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from src.metrics.bootstrap import bootstrap, paired_difference, total_score
from src.metrics.query_scores import QueryScores


class Delta(NamedTuple):
    """Difference of two total scores on the same queries, with its 95 % interval."""

    delta: float
    delta_low: float
    delta_high: float


def paired_delta(
    scores: Sequence[QueryScores], others: Sequence[QueryScores], weights: list[float], seed: int
) -> Delta:
    """Subtract other scores from these; both hold the same queries, one entry per objective."""
    pairs = zip(scores, others, strict=True)
    differences = [paired_difference(score, other.value) for score, other in pairs]
    low, high = bootstrap(differences, weights, seed)
    return Delta(total_score(differences, weights), float(low[-1]), float(high[-1]))
