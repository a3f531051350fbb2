"""Search the best blend where rows of different queries are compared: by a pooled metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from src.blend.blend import POOLED, SCORE, STACK, Blend, single
from src.blend.judged_rows import JudgedRows, Weighted
from src.blend.search import BlendSearch
from src.core.arrays import F32, F64, Mask
from src.metrics.base import Metric
from src.metrics.pooled import PooledMetric, pooled_scores
from src.metrics.query_scores import QueryScores


class PooledSearch(BlendSearch):
    """Scores every blend by a pooled metric of the judged rows of each fold, and chooses.

    Rows of different folds have scores of different models, so they are not compared.
    """

    transforms = POOLED
    max_queries = 100_000  # AUCs of so many rows tell blends apart that differ by .0005
    metric: PooledMetric

    def _score_all(self) -> F32:
        """Compute the values of the compared queries: (blends, queries)."""
        rankers = [Weighted(single(SCORE, n, self.width), None, True) for n in range(self.width)]
        stacks = [Weighted(Blend(STACK, ()), self.stack_of(f), True)
                  for f in range(self.recipe.folds)]  # fmt: skip
        own = stacks if Blend(STACK, ()) in self.blends else []
        self.rows = JudgedRows.read(self.files, self.columns, self.truth, [*rankers, *own])
        searched = np.isin(self.rows.session, self.session)
        ideal = np.zeros(self.session.size)
        values = np.zeros((len(self.blends), self.session.size), np.float32)
        for number, blend in enumerate(self.blends):
            found = self._pooled(self._row_scores(blend, searched), searched)
            query = np.searchsorted(self.session, found.session)
            values[number, query] = found.value
            ideal[query] = found.ideal  # the same for all blends
        self.norms = self.norms._replace(ideal=ideal)
        return values

    def oracle_score(self) -> float:
        """Return 1, which a perfect order has; 0 where nothing can be ordered."""
        return float(self.norms.ideal.any())

    def _row_scores(self, blend: Blend, mask: Mask) -> F64:
        """Blend the scores of the masked rows; those of STACK are fitted without the row's fold."""
        log_odds = self.rows.log_odds[mask]
        if blend.transform == STACK:
            fold = self.fold[self.rows.session[mask]]
            return log_odds[np.arange(fold.size), self.width + fold]
        return log_odds[:, : self.width] @ np.array(blend.weights, np.float64)

    def _pooled(self, score: F64, mask: Mask) -> QueryScores:
        """Score the masked rows; score: of each."""
        session = self.rows.session[mask]
        grade, fold = self.rows.grade[mask], self.fold[session]
        return pooled_scores(session, score, grade, self.metric, fold)

    def query_scores(self, blend: Blend) -> QueryScores:
        """Score all queries under one blend, also those that blends are not compared on."""
        every = np.ones(self.rows.session.size, np.bool_)
        return self._pooled(self._row_scores(blend, every), every)

    def cross_fitted(self, also: Sequence[Metric] = ()) -> list[QueryScores]:
        """Score all queries, those of each fold under its blend in `of_fold`.

        There are no other metrics: masked rows make no lists.
        """
        assert not also
        fold = self.fold[self.rows.session]
        score = np.zeros(fold.size)
        for f, blend in self.of_fold.items():
            score[fold == f] = self._row_scores(blend, fold == f)
        return [self._pooled(score, np.ones(fold.size, np.bool_))]
