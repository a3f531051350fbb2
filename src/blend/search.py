"""Search the best blend of the rankers for one objective, on out-of-fold scores of `valid`.

All rankers have equal weights unless another blend is significantly better. The blend of a fold is
chosen on the other folds, and stacking is fitted without the fold. A small optimism is left: the
stacks of the other folds, between which the fold's blend is chosen, were fitted on the fold too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from src.blend.blend import STACK, TENTHS, Blend, all_blends
from src.blend.scored_candidates import ScoredCandidates
from src.blend.stacking import fit_stacks
from src.core.arrays import F32, F64, I64, Mask
from src.data import shards
from src.data.recipe import Recipe
from src.metrics import ranking_kernel
from src.metrics.bootstrap import bootstrap
from src.metrics.query_scores import QueryScores


class BlendSearch:
    """Score every query under every blend, and choose between the blends.

    values: float32 (blends, queries with a positive); session: dense, of each of these queries.
    """

    def __init__(
        self, recipe: Recipe, files: Sequence[Path], columns: Sequence[str], truth: pl.DataFrame,
        fold: I64,
    ) -> None:  # fmt: skip
        """Read the score files one at a time; a second time to fit the stacks.

        columns: score column of each ranker; without one the order of the pool is scored.
        truth: session, item; fold: of each session of the split.
        """
        self.recipe, self.files, self.columns, self.fold = recipe, files, columns, fold
        self.truth, self.metric = truth, recipe.metric
        positives = truth.group_by("session").len("n").sort("session")
        self.session: I64 = positives["session"].to_numpy().astype(np.int64)
        self.ideal: F64 = self.metric.ideal(positives["n"].to_numpy())
        self.blends = all_blends(max(1, len(columns)))
        self.stacks: dict[int, F64] = {}
        if Blend(STACK, ()) in self.blends:
            self.stacks = fit_stacks(files, columns, truth, fold, recipe.folds, recipe.seed)
        self.values, self.oracle_score = self._score_all()

    @staticmethod
    def memory(recipe: Recipe, labels: pl.DataFrame) -> float:
        """Bytes of a search: the values of all blends, the labels, and one shard of candidates.

        A candidate takes 40 bytes, and 40 per ranker: scores, transforms and meta-features.
        """
        rankers = len(recipe.rankers)
        queries = labels.group_by("objective").agg(pl.col("session").n_unique())["session"]
        values = 4.0 * len(all_blends(max(1, rankers))) * int(queries.to_numpy().max(initial=0))
        rows = shards.QUERIES_PER_SHARD * recipe.n_ranked
        return values + rows * (40 + 40 * rankers) + 40 * labels.height

    def _score_all(self) -> tuple[F32, float]:
        """Compute the values (blends, queries), and the score of a perfect order of the pool."""
        values = np.zeros((len(self.blends), self.session.size), np.float32)
        gains, first_hit_only = self.metric.gains(), self.metric.first_hit_only
        oracle = 0.0
        for file in self.files:
            candidates = ScoredCandidates.load(file, self.columns, self.session)
            positive = candidates.is_positive(self.truth)
            query = np.searchsorted(self.session, candidates.session)
            row_fold = candidates.per_row(self.fold[candidates.session])
            for number, blend in enumerate(self.blends):
                score = candidates.blended(blend, self._stack_of_rows(row_fold, blend))
                rows = candidates.top_rows(score, self.recipe.k)
                value = ranking_kernel.list_values(rows, positive, gains, first_hit_only)
                values[number, query] = value
            in_pool = np.add.reduceat(positive, candidates.offsets[:-1], dtype=np.int64)
            oracle += float(self.metric.ideal(in_pool).sum())
        return values, oracle / max(self.ideal.sum(), 1.0)

    def _stack_of_rows(self, row_fold: I64, blend: Blend) -> F64 | None:
        """Weights of STACK for each candidate, fitted without its fold; None for other blends."""
        if blend.transform != STACK:
            return None
        unfitted = np.ones(2 * len(self.columns))
        return np.array([self.stacks.get(f, unfitted) for f in range(self.recipe.folds)])[row_fold]

    def query_scores(self, blend: Blend) -> QueryScores:
        """Score all queries with a positive under one blend."""
        values = self.values[self.blends.index(blend)].astype(np.float64)
        return QueryScores(self.session, values, self.ideal)

    def best(self, mask: Mask | None = None) -> Blend:
        """Choose a blend on the masked queries (None: on all).

        Equal weights stay unless others are significantly better. Blends of one model, of two, ...,
        and stacking are compared in turn with the choice so far. The best of many blends is better
        by luck alone, so each fold is compared under the blend that is best on the other folds.
        """
        mask = np.ones(self.session.size, np.bool_) if mask is None else mask
        n_models = np.array([blend.n_models for blend in self.blends])
        chosen = np.zeros(1, np.int64)
        for n in np.unique(n_models):
            numbers = np.flatnonzero(n_models == n)
            chosen = numbers if self._is_better(numbers, chosen, mask) else chosen
        return self.blends[self._best_of(chosen, mask)]

    def _is_better(self, numbers: I64, others: I64, mask: Mask) -> bool:
        """Whether the 95 % interval of the paired difference of two sets of blends is above 0."""
        value, other = (
            self._cross_fitted(partial(self._best_of, group), mask) for group in (numbers, others)
        )
        delta = value - other
        scores = QueryScores(self.session[mask], delta[mask], self.ideal[mask])
        return bool(bootstrap([scores], [1.0], self.recipe.seed)[0][0] > 0)

    def _best_of(self, numbers: I64, mask: Mask) -> int:
        """Number of the blend with the highest score on the masked queries; ties by number."""
        totals = [self.values[n][mask].sum(dtype=np.float64) for n in numbers]
        return int(numbers[np.argmax(totals)])

    def _cross_fitted(self, choose: Callable[[Mask], int], mask: Mask) -> F64:
        """Value of each query under the blend that is chosen on the other folds of the mask."""
        fold, values = self.fold[self.session], np.zeros(self.session.size)
        for f in np.unique(fold[mask]):
            values[fold == f] = self.values[choose(mask & (fold != f))][fold == f]
        return values

    def cross_fitted(self) -> QueryScores:
        """Score all queries, those of each fold under the blend that is best on the other folds."""

        def choose(mask: Mask) -> int:
            return self.blends.index(self.best(mask))

        values = self._cross_fitted(choose, np.ones(self.session.size, np.bool_))
        return QueryScores(self.session, values, self.ideal)

    def best_by_transform(self) -> dict[str, float]:
        """Find in hindsight the best score of each transform and the score of each ranker alone."""
        best: dict[str, float] = {}
        for blend in self.blends:
            name = blend.transform
            if TENTHS in blend.weights and self.columns:
                name = self.columns[blend.weights.index(TENTHS)]
            best[name] = max(best.get(name, 0.0), self.query_scores(blend).score())
        return best
