"""Search the best blend of the rankers for one objective, on out-of-fold scores of `valid`.

All rankers have equal weights unless another blend is significantly better. The blend of a fold is
chosen on the other folds, and stacking is fitted without the fold. A small optimism is left: the
stacks of the other folds, between which the fold's blend is chosen, were fitted on the fold too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from src.blend.blend import STACK, TENTHS, TRANSFORMS, Blend, all_blends
from src.blend.judged_rows import Weighted
from src.blend.scored_candidates import ScoredCandidates
from src.blend.stacking import fit_stacks
from src.core.arrays import F32, F64, I64, Mask, arrays, hash_unit
from src.core.parquet import count_rows
from src.data import shards
from src.data.recipe import Recipe
from src.metrics.base import Metric
from src.metrics.bootstrap import bootstrap
from src.metrics.judged import Judged, best_lists
from src.metrics.query_scores import QueryScores

PARTS = 4  # of the queries of a single fold, between which blends are compared
SEED_OFFSET = 7  # so that the drawn queries do not follow another draw of the recipe's seed


class BlendSearch:
    """Score queries under every blend, and choose between the blends.

    The blends are compared on all queries with a judged item, or on about `max_queries` of them.
    The chosen blends score all. values: float32 (blends, compared queries); session: dense, of each
    of these queries.
    """

    transforms: ClassVar[Sequence[str]] = TRANSFORMS
    max_queries: ClassVar[int] = 200_000

    def __init__(
        self, recipe: Recipe, files: Sequence[Path], columns: Sequence[str], truth: pl.DataFrame,
        fold: I64, metric: Metric | None = None,
    ) -> None:  # fmt: skip
        """Read the score files one at a time; a second time to fit the stacks.

        columns: score column of each ranker; without one the order of the pool is scored.
        truth: session, item, grade; fold: of each session of the split. metric: None for that of
        the recipe.
        """
        self.recipe, self.files, self.columns, self.fold = recipe, files, columns, fold
        self.truth, self.metric = truth, metric or recipe.metric
        self.width = max(1, len(columns))
        self.session, judged = judged_queries(self.searched())
        self.norms = self.metric.norms(judged)
        self.blends = all_blends(self.width, self.transforms)
        self.stacks: dict[int, F64] = {}
        if Blend(STACK, ()) in self.blends:
            self.stacks = fit_stacks(files, columns, truth, fold, recipe.folds, recipe.seed)
        self.values = self._score_all()

    @classmethod
    def memory(
        cls, recipe: Recipe, rankers: int, labels: pl.DataFrame, files: Sequence[Path]
    ) -> float:
        """Bytes of a search: the values of all blends, the labels, and one file of candidates.

        A candidate takes 40 bytes, and 40 per ranker: scores, transforms and meta-features. A rank
        of a list takes 40. A query takes 300: its values and norms by the metrics. A label takes 40
        and, where rows are calibrated, 100 per ranker and 16 per fold.
        """
        queries = labels["session"].n_unique()
        blends = len(all_blends(max(1, rankers), cls.transforms))
        values = 300.0 * queries + 4.0 * blends * min(queries, cls.max_queries)
        rows = max(map(count_rows, files))
        ranks = min(rows, shards.QUERIES_PER_SHARD * recipe.k)
        calibrated = (100 * (rankers + 1) + 16 * recipe.folds) * (recipe.calibrator is not None)
        return values + rows * (40 + 40 * rankers) + 40 * ranks + (40 + calibrated) * labels.height

    def searched(self) -> pl.DataFrame:
        """Return the labels of the queries that the blends are compared on, drawn by a hash."""
        share = self.max_queries / max(self.truth["session"].n_unique(), 1)
        unit = hash_unit(pl.col("session"), self.recipe.seed + SEED_OFFSET)
        return self.truth if share >= 1 else self.truth.filter(unit < share)

    def _score_all(self) -> F32:
        """Compute the values of the compared queries: (blends, queries)."""
        metric = self.metric
        values = np.tile(self.norms.of_no_list.astype(np.float32), (len(self.blends), 1))
        for file in self.files:
            candidates = ScoredCandidates.load(file, self.columns, self.session)
            grade = candidates.grades(self.truth)
            query = np.searchsorted(self.session, candidates.session)
            for number, blend in enumerate(self.blends):
                listed = candidates.top_grades(self._score(candidates, blend), grade, metric.k)
                values[number, query] = self.norms.values(metric.raw_values(listed), query)
        return values

    def oracle_score(self) -> float:
        """Score all queries as if their pools were in a perfect order; reads the score files."""
        session, judged = judged_queries(self.truth)
        norms = self.metric.norms(judged)
        values = norms.of_no_list
        for file in self.files:
            candidates = ScoredCandidates.load(file, [], session)
            query, k = np.searchsorted(session, candidates.session), self.metric.k
            row_query = candidates.per_row(np.arange(query.size))
            best = best_lists(row_query, candidates.grades(self.truth), query.size, k)
            values[query] = norms.values(self.metric.raw_values(best), query)
        return QueryScores(session, values, norms.ideal).score()

    def _score(self, candidates: ScoredCandidates, blend: Blend) -> F32:
        """Blend the scores of each candidate; those of STACK are fitted without its fold."""
        if blend.transform != STACK:
            return candidates.blended(blend)
        row_fold = candidates.per_row(self.fold[candidates.session])
        stacks = [self.stack_of(f) for f in range(self.recipe.folds)]
        return candidates.blended(blend, np.array(stacks)[row_fold])

    def stack_of(self, fold: int) -> F64:
        """Return the weights of STACK that are fitted without a fold, or on all (ALL_FOLDS)."""
        return self.stacks.get(fold, np.ones(2 * len(self.columns)))

    def weighted(self, blend: Blend, fold: int) -> Weighted:
        """Return a blend with its weights of STACK for a fold, or for all."""
        stack = self.stack_of(fold) if blend.transform == STACK else None
        return Weighted(blend, stack, self.metric.pooled)

    def query_scores(self, blend: Blend) -> QueryScores:
        """Score the compared queries under one blend."""
        values = self.values[self.blends.index(blend)].astype(np.float64)
        return QueryScores(self.session, values, self.norms.ideal)

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
        scores = QueryScores(self.session[mask], delta[mask], self.norms.ideal[mask])
        return bool(bootstrap([scores], [1.0], self.recipe.seed)[0][0] > 0)

    def _best_of(self, numbers: I64, mask: Mask) -> int:
        """Number of the blend with the highest score on the masked queries; ties by number."""
        totals = [self.values[n][mask].sum(dtype=np.float64) for n in numbers]
        return int(numbers[np.argmax(totals)])

    def _cross_fitted(self, choose: Callable[[Mask], int], mask: Mask) -> F64:
        """Value of each query under the blend that is chosen on the other folds of the mask.

        A mask of one fold is cut into PARTS instead.
        """
        fold, values = self.fold[self.session], np.zeros(self.session.size)
        if np.unique(fold[mask]).size < 2:
            fold = np.arange(fold.size) % PARTS
        for f in np.unique(fold[mask]):
            values[fold == f] = self.values[choose(mask & (fold != f))][fold == f]
        return values

    @cached_property
    def of_fold(self) -> dict[int, Blend]:
        """For each fold with a judged item the blend that is best on the other folds."""
        fold, folds = self.fold[self.session], np.unique(self.fold[self.truth["session"]])
        return {int(f): self.best(fold != f) for f in folds}

    def cross_fitted(self, also: Sequence[Metric] = ()) -> list[QueryScores]:
        """Score all queries, those of each fold under its blend in `of_fold`.

        Returns the scores by the metric of the search, then those of the same lists by other
        metrics, as long as a metric needs. Reads the score files again.
        """
        metrics, (session, judged) = [self.metric, *also], judged_queries(self.truth)
        k = max(metric.k for metric in metrics)
        norms = [metric.norms(judged) for metric in metrics]
        values = [of_metric.of_no_list for of_metric in norms]
        for file in self.files:
            candidates = ScoredCandidates.load(file, self.columns, session)
            grade, fold = candidates.grades(self.truth), self.fold[candidates.session]
            query = np.searchsorted(session, candidates.session)
            for blend in set(self.of_fold.values()):
                score = self._score(candidates, blend)
                listed = candidates.top_grades(score, grade, k)
                own = np.isin(fold, [f for f, chosen in self.of_fold.items() if chosen == blend])
                for metric, of_metric, value in zip(metrics, norms, values, strict=True):
                    raw = metric.raw_values(listed[own])
                    value[query[own]] = of_metric.values(raw, query[own])
        pairs = zip(values, norms, strict=True)
        return [QueryScores(session, value, n.ideal) for value, n in pairs]

    def best_by_transform(self) -> dict[str, float]:
        """Find in hindsight the best score of each transform and the score of each ranker alone."""
        named, every = dict[str, list[int]](), np.ones(self.session.size, np.bool_)
        for number, blend in enumerate(self.blends):
            name = blend.transform
            if TENTHS in blend.weights and self.columns:
                name = self.columns[blend.weights.index(TENTHS)]
            named.setdefault(name, []).append(number)
        best = {n: self.blends[self._best_of(np.array(g), every)] for n, g in named.items()}
        return {name: self.query_scores(blend).score() for name, blend in best.items()}


def judged_queries(truth: pl.DataFrame) -> tuple[I64, Judged]:
    """Return the sessions of a table of labels, ascending, and what is judged of each."""
    row_session, grade = arrays(truth.sort("session"), "session", "grade")
    session = np.unique(row_session).astype(np.int64)
    return session, Judged.of_queries(np.searchsorted(session, row_session), grade, session.size)
