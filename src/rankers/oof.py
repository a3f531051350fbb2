"""Evaluate features, candidates and rankers out of fold on all splits with labels.

In step 6, splits with role "train" have no folds: all models learn from them, and only `valid` is
scored. Here they have folds: a model learns from no session of its fold in any split, and the
queries of all splits are scored. More queries make smaller differences significant.
src/tools/ablation.py and bench/rankers.py use this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import polars as pl

from src.core.arrays import F32, I8, I64, Mask, positions
from src.core.run import Run
from src.data import paths
from src.data.folds import all_folds
from src.data.labels import scan_labels
from src.data.shards import shards
from src.data.split_data import SplitData
from src.data.splits import labelled_splits
from src.features.table import FeatureTable
from src.metrics import ranking_kernel
from src.metrics.base import Metric
from src.metrics.judged import Judged
from src.metrics.query_scores import QueryScores
from src.rankers.base import RankerModel, out_of_fold_scores
from src.rankers.batches import CandidateBatch, claim_batches, pools
from src.rankers.sampling import labels_of
from src.rankers.train_set import TrainSet
from src.rankers.train_table import splits_of_files, trainable_objectives


@dataclass(frozen=True)
class EvalBatch:
    """Queries that count, which are evaluated, and all their candidates.

    The pool of the candidates has other queries too, which are empty. label: grades,
    float32 (candidates, objectives). fold: of each query of the pool. Of each evaluated query:
    query, its index in the pool; session, its raw id, which other splits may have too. judged: of
    the evaluated queries, for each objective.
    """

    candidates: CandidateBatch
    label: F32
    fold: I64
    query: I64
    session: I64
    judged: list[Judged]

    @property
    def position(self) -> I64:
        """Position of each candidate in its query's pool, from 0."""
        return positions(self.candidates.pool.offsets)

    def keep_rows(self, mask: Mask) -> EvalBatch:
        """Keep the marked candidates and copy their features; `judged` does not change."""
        pool = self.candidates.pool.keep_rows(mask)
        X = self.candidates.X[self.candidates.rows[mask]]
        candidates = replace(self.candidates, pool=pool, X=X, rows=np.arange(len(X)))
        return replace(self, candidates=candidates, label=self.label[mask])

    def scores(self, models: Sequence[RankerModel]) -> F32:
        """Score each candidate by the model of its fold; models: one per fold."""
        return out_of_fold_scores(models, self.candidates, self.fold)

    def query_scores(
        self, metric: Metric, objective: int, score: F32, mask: Mask | None = None
    ) -> QueryScores:
        """Evaluate the lists of the candidates with the highest scores; score: (candidates).

        mask: the candidates that may be listed, None for all.
        """
        pool, grade = self.candidates.pool, self.label[:, objective]
        if mask is not None:
            pool, grade, score = pool.keep_rows(mask), grade[mask], score[mask]
        k = min(metric.k, int(np.diff(pool.offsets).max(initial=1)))
        best = ranking_kernel.top_rows(pool.offsets, pool.item, score, k)
        raw = metric.raw_values(ranking_kernel.listed_grades(best[self.query], grade))
        norms = metric.norms(self.judged[objective])
        return QueryScores(self.session, norms.values(raw), norms.ideal)


def with_all_folds(run: Run, train_set: TrainSet) -> TrainSet:
    """Set the folds of the rows of all splits; step 5 sets -1 for rows outside of `valid`."""
    splits, files = splits_of_files(run), pairwise(train_set.file_offsets)
    fold = {split: all_folds(run, split).astype(np.int8) for split in dict.fromkeys(splits)}
    folds: list[I8] = [
        fold[split][train_set.session[first:end]]
        for split, (first, end) in zip(splits, files, strict=True)
    ]
    return replace(train_set, fold=np.concatenate(folds))


def eval_batches(
    run: Run, max_queries: int, splits: Sequence[str] | None = None
) -> Iterator[EvalBatch]:
    """Yield batches of the queries to evaluate: about max_queries, equally many of each split.

    splits: None for all with labels.
    """
    features, splits = FeatureTable(run.recipe), splits or labelled_splits(run)
    for split in splits:
        data, fold = SplitData(run, split), all_folds(run, split)
        raw = pl.read_parquet(paths.sessions(run, split))["session"].to_numpy()
        labels = scan_labels(paths.labels(run, split)).collect()
        truth = [labels.filter(objective=o) for o in range(len(run.recipe.objectives))]
        judged = [Judged.of_sessions(t, data.n_sessions) for t in truth]
        ideal = np.array([run.recipe.metric.norms(of_objective).ideal for of_objective in judged])
        queries = np.flatnonzero(ideal.any(axis=0))
        wanted = np.zeros(data.n_sessions, np.bool_)
        wanted[queries[:: max(1, -(-queries.size * len(splits) // max_queries))]] = True
        claim_batches(data, "features", 0.0)
        for shard in run.progress(shards(run, split), split):
            for whole in pools(data, shard):
                sessions = slice(whole.first, whole.end)
                query = np.flatnonzero(wanted[sessions])
                pool = whole.keep(wanted[sessions])
                batch = CandidateBatch.compute(features, data, pool)
                label = np.column_stack([labels_of(pool, t) for t in truth])
                session = whole.first + query
                of_queries = [of_objective.take(session) for of_objective in judged]
                yield EvalBatch(batch, label, fold[sessions], query, raw[session], of_queries)


def require_trainable(run: Run) -> list[str]:
    """Return the trainable objectives; ValueError if there is none."""
    if objectives := trainable_objectives(run):
        return objectives
    raise ValueError("too few labels to learn any objective from; take more data")
