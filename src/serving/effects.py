"""Find the features that raise or lower a candidate most."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.blend.blend import STACK
from src.blend.final_blend import FinalBlend
from src.core.arrays import F64, I64
from src.features.item_attribute_kernel import UNKNOWN
from src.rankers.base import RankerModel
from src.rankers.batches import CandidateBatch
from src.serving.scorer import Scorer

ROWS = 2_000
"""Changed rows of features that are scored at a time."""


class Effect(NamedTuple):
    """What a feature does to the score of a candidate."""

    feature: str
    value: float | None  # None where it is missing
    effect: float
    """How far the score falls if the feature gets its median over the candidates of the query: in
    standard deviations of their scores, summed over the rankers with the weights of the blend."""


def strongest(
    scorer: Scorer, batch: CandidateBatch, final: FinalBlend, rows: Sequence[int], n: int,
    fold: int | None,
) -> list[list[Effect]]:  # fmt: skip
    """Find the n strongest effects on each of some candidates; rows: theirs in the batch.

    Rankers that read more than features, as nets do, are left out. fold: as for Scorer.scores.
    """
    parts: list[F64] = []
    for models, weight in _weighted(scorer, final, fold):
        of_pool = np.mean([m.margins(batch.X, batch.names) for m in models], axis=0, dtype=float)
        spread = weight / (of_pool.std() or 1.0)
        parts.append(spread * _falls(models, batch, rows))
    if not parts:
        return [[] for _ in rows]
    effect = np.sum(parts, axis=0)
    found = []
    for row, of_row in zip(rows, effect, strict=True):
        best = np.argsort(-np.abs(of_row), kind="stable")[:n]
        values = ((batch.names[c], _finite(batch.X[row, c]), float(of_row[c])) for c in best)
        found.append([Effect(*value) for value in values if value[2]])
    return found


def _weighted(
    scorer: Scorer, final: FinalBlend, fold: int | None
) -> list[tuple[Sequence[RankerModel], float]]:
    """Return the models of each ranker in a blend that score by features alone, and its weight."""
    stacked = final.blend.transform == STACK
    weights = [1.0] * len(final.rankers) if stacked else list(map(float, final.blend.weights))
    total = sum(weights)
    return [
        (models if fold is None else models[fold : fold + 1], weight / total)
        for ranker, weight in zip(final.rankers, weights, strict=False)
        if weight and ranker.features_only
        for models in [scorer.models[ranker.score_column(final.objective)]]
    ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) and value != UNKNOWN else None


def _falls(models: Sequence[RankerModel], batch: CandidateBatch, rows: Sequence[int]) -> F64:
    """Return how far the score of each candidate falls with each feature at its median.

    float64 (rows, columns of X).
    """
    X = batch.X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without a value
        median = np.nanmedian(X, axis=0)
    read = {name for model in models for name in model.names}
    is_read = np.array([name in read for name in batch.names])
    other = (X[rows] != median) & ~(np.isnan(X[rows]) & np.isnan(median))
    row, column = np.nonzero(is_read & other)
    falls = np.zeros((len(rows), X.shape[1]))
    for first in range(0, row.size, ROWS):
        part: I64 = np.arange(first, min(first + ROWS, row.size))
        of_candidate = np.asarray(rows)[row[part]]
        changed = X[of_candidate]
        changed[np.arange(part.size), column[part]] = median[column[part]]
        for model in models:
            before, after = (model.margins(x, batch.names) for x in (X[of_candidate], changed))
            falls[row[part], column[part]] += (before - after) / len(models)
    return falls
