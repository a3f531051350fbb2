"""Everything that has labels, out of fold: for comparing columns, candidates and rankers.

Step 6 scores `valid` only, and lets every model learn from all sessions of the windows that are
only learned from (`earlier_<n>`, `more_<n>`). Here those have folds too, no model sees its fold's
sessions in any window, and their queries are scored as well: more of them tell smaller differences.
src/tools/ablation.py and bench/rankers.py compare this way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from src.core.arrays import F32, F64, I8, I32, I64
from src.core.run import Run
from src.data.folds import all_folds
from src.data.recipe import Recipe
from src.data.shards import load_split, part_files, parts
from src.features.table import Features
from src.metrics import ranking_kernel
from src.metrics.scores import QueryScores
from src.rankers import xgb as ranker
from src.rankers.rows import XGBoostRanker
from src.rankers.sampling import Sampler, claim, ground_truth, keep_queries, pools, trainable
from src.rankers.train_set import Rows


@dataclass(frozen=True)
class Sample:
    """Candidates of whole queries as CSR, in the pool's order: items, features, what came true.

    label: (rows), or (rows, objectives); starts: the first row of each query, and the end.
    """

    item: I32
    X: F32
    label: np.ndarray
    starts: I64

    def take(self, rows: np.ndarray) -> Sample:
        """The marked rows."""
        running = np.concatenate([[0], np.cumsum(rows)])
        return Sample(self.item[rows], self.X[rows], self.label[rows], running[self.starts])

    @property
    def query(self) -> I64:
        """The number of each row's query."""
        return np.repeat(np.arange(self.starts.size - 1), np.diff(self.starts))

    @property
    def place(self) -> I64:
        """The place of each row in its query, from 0."""
        return np.arange(self.item.size) - self.starts[:-1][self.query]


@dataclass(frozen=True)
class Asked:
    """Some queries of a window that have a truth, with all their candidates.

    session: raw ids, which other windows may have too; fold, and chances (objectives, queries) of
    each; sample: with the labels of all objectives.
    """

    session: I64
    fold: I64
    chances: F64
    sample: Sample

    def won(self, recipe: Recipe, sample: Sample, objective: int, score: F32) -> QueryScores:
        """What the queries win when a score ranks a sample, or what is left of it."""
        best = ranking_kernel.top_rows(sample.starts, sample.item, score, recipe.k)
        true = sample.label[:, objective] == 1
        hits = ranking_kernel.gains(best, true, recipe.metric == "mrr")
        return QueryScores(self.session, hits, self.chances[objective])


def folds_of_rows(run: Run, rows: Rows) -> I8:
    """`all_folds` of the rows of all training files."""
    splits = [split for split in run.learning_splits() for _ in part_files(run, split, "train")]
    found = [
        all_folds(run, split)[rows.session[first:end]]
        for split, (first, end) in zip(splits, pairwise(rows.starts), strict=True)
    ]
    return np.concatenate(found).astype(np.int8)


def asked(run: Run, at_most: int) -> Iterator[Asked]:
    """Queries of all windows that have labels, about so many at most, of each alike."""
    features, recipe, splits = Features(run.recipe), run.recipe, run.learning_splits()
    cap = recipe.k if recipe.metric == "recall" else 1
    for split in splits:
        world, truth, fold = load_split(run, split), ground_truth(run, split), all_folds(run, split)
        raw = pl.read_parquet(run.output / split / "sessions.parquet")["session"].to_numpy()
        chances = np.zeros((len(truth), world.n_sessions))
        for o, table in enumerate(truth):
            chances[o] = np.bincount(table["session"], minlength=world.n_sessions).clip(max=cap)
        queries = np.flatnonzero(chances.any(axis=0))
        wanted = np.zeros(world.n_sessions, np.bool_)
        wanted[queries[:: max(1, -(-queries.size * len(splits) // at_most))]] = True
        claim(run, world, "features")
        for part in run.progress(parts(world), split):
            for pool in pools(run, world, part):
                mine = wanted[pool.first : pool.first + pool.offsets.size - 1]
                some = keep_queries(pool, mine)
                label = np.column_stack([Sampler(t, 0.0, 0).label(some) for t in truth])
                session = pool.first + np.flatnonzero(mine)
                starts = np.append(some.offsets[:-1][mine], some.item.size)
                sample = Sample(some.item, features.compute(world, some), label, starts)
                yield Asked(raw[session], fold[session], chances[:, session], sample)


def out_of_fold(models: list[ranker.Trees], sample: Sample, names: list[str], fold: I64) -> F32:
    """Score of each row, by the model that never saw its session; fold: of each row."""
    score = np.zeros(len(sample.X), np.float32)
    for f in np.unique(fold):
        rows = np.flatnonzero(fold == f)
        score[rows] = ranker.predict([models[f]], sample.X, names, rows)
    return score


def first_trees(recipe: Recipe) -> XGBoostRanker:
    """The first ranker of trees that learns one objective; ValueError where there is none."""
    for row in recipe.rankers:
        if isinstance(row, XGBoostRanker) and not row.shared:
            return row
    raise ValueError(f"recipe {recipe.name}: no XGBoostRanker learns one objective")


def some_learnable(run: Run) -> list[str]:
    """Those of `learnable`; ValueError where there is none."""
    if able := trainable(run):
        return able
    raise ValueError("too few labels to learn any objective from; take more data")
