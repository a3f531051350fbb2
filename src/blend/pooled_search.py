"""Search the best blend where rows of different queries are compared: by a pooled metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from src.blend.blend import POOLED, SCORE, STACK, Blend, single
from src.blend.judged_rows import JudgedRows, Weighted
from src.blend.search import BlendSearch
from src.core.arrays import F32
from src.metrics.base import Metric
from src.metrics.pooled import PooledMetric, pooled_scores
from src.metrics.query_scores import QueryScores


class PooledSearch(BlendSearch):
    """Scores every blend by a pooled metric of the judged rows of each fold, and chooses.

    Rows of different folds have scores of different models, so they are not compared.
    """

    transforms = POOLED
    metric: PooledMetric

    def _score_all(self) -> tuple[F32, float]:
        """Compute the values (blends, queries); a perfect order has the score 1."""
        rankers = [Weighted(single(SCORE, n, self.width), None, True) for n in range(self.width)]
        stacks = [Weighted(Blend(STACK, ()), self.stack_of(f), True)
                  for f in range(self.recipe.folds)]  # fmt: skip
        own = stacks if Blend(STACK, ()) in self.blends else []
        rows = JudgedRows.read(self.files, self.columns, self.truth, [*rankers, *own])
        fold, ideal = self.fold[rows.session], np.zeros(self.session.size)
        values = np.zeros((len(self.blends), self.session.size), np.float32)
        for number, blend in enumerate(self.blends):
            if blend.transform == STACK:
                score = rows.log_odds[np.arange(fold.size), self.width + fold]
            else:
                score = rows.log_odds[:, : self.width] @ np.array(blend.weights, np.float64)
            found = pooled_scores(rows.session, score, rows.grade, self.metric, fold)
            query = np.searchsorted(self.session, found.session)
            values[number, query] = found.value
            ideal[query] = found.ideal  # the same for all blends
        self.norms = self.norms._replace(ideal=ideal)
        return values, float(ideal.any())

    def also(self, metrics: Sequence[Metric]) -> list[QueryScores]:
        """Return nothing: lists of masked rows have no metric of lists."""
        return []
