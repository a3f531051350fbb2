"""Measure the loss of score without each group of features and each group of retrievers.

    python -m src.tools.ablation --dataset otto        (or: make ablation DATASET=otto)

Needs steps 1 to 5. The recipe's first XGBoost ranker of one objective learns from at most ROWS
training rows, in ROUNDS rounds, for all folds. It is trained again without each group of features.
It is also trained again without each group of retrievers: without the candidates that only this
group proposed and without their ranks and scores, with RRF scores computed anew. The models rank
all candidates of at most QUERIES queries of all splits with labels, out of fold
(src/rankers/oof.py).

Losses are paired differences to the mean of SEEDS models that drop nothing, with 95 % intervals by
bootstrap over sessions. The intervals lack the noise of another training seed; the rows of single
seeds show it.

Writes output/<dataset>/logs/ablation.csv: dropped, columns, <objective>, score, loss, low, high.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray

from src.candidates.pool_kernel import ABSENT, RRF_K
from src.cli import main
from src.core import store
from src.core.arrays import F32, I64
from src.core.console import show
from src.core.run import Run
from src.data.recipe import Recipe
from src.features.table import FeatureTable
from src.metrics.bootstrap import total_score
from src.metrics.paired import paired_delta
from src.metrics.query_scores import QueryScores
from src.rankers.base import RankerModel
from src.rankers.compiled_trees import tree_model
from src.rankers.oof import EvalBatch, eval_batches, require_trainable, with_all_folds
from src.rankers.selection import matrix_of, top_features_by_gain
from src.rankers.train import in_parallel
from src.rankers.train_set import SELECTION_ROWS, TrainSet
from src.rankers.train_table import train_files
from src.rankers.xgb import XGBoostRanker
from src.rankers.xgb_trainer import boost

ROWS, ROUNDS, QUERIES, SEEDS = 100_000, 80, 10_000, 3  # small, as every group costs a training


class Variant(NamedTuple):
    """Drops feature columns, and the candidates that only these retrievers proposed."""

    name: str
    columns: list[str]
    retrievers: list[str]
    seed: int


class TrainRows(NamedTuple):
    """Training rows in memory; query: numbers, ascending; correction: see TrainSet."""

    X: F32
    label: F32
    query: I64
    correction: F32


class Kept(NamedTuple):
    """Rows that are left without the given retrievers."""

    mask: NDArray[np.bool_]  # of all rows
    X: F32  # features of the rows that are left


def retriever_groups(recipe: Recipe) -> dict[str, list[str]]:
    """Group the names of retrievers by kind; those that read an embedding are groups apart."""
    embeddings = {row.name for row in recipe.embeddings}
    groups: dict[tuple[str, bool], list[str]] = {}
    for row in recipe.retrievers:
        key = type(row).__name__, not embeddings.isdisjoint(row.tables)
        groups.setdefault(key, []).append(row.name)
    both = {kind for kind, _ in groups if (kind, True) in groups and (kind, False) in groups}
    return {
        f"{kind} of embeddings" if of_embedding and kind in both else kind: names
        for (kind, of_embedding), names in groups.items()
    }


def without(X: F32, query: I64, names: list[str], recipe: Recipe, retrievers: list[str]) -> Kept:
    """Drop the candidates that only the given retrievers proposed; compute RRF scores anew.

    X: float32 (candidates, names); query: number of each candidate's query, ascending.
    """
    others = [row.name for row in recipe.retrievers if row.name not in retrievers]
    ranks = X[:, [names.index(f"rank_{name}") for name in others]]
    mask: NDArray[np.bool_] = np.any(ranks < ABSENT, axis=1)
    ranks, X = ranks[mask], X[mask]
    rrf_score = np.where(ranks < ABSENT, 1.0 / (RRF_K + ranks), 0.0).sum(axis=1)
    X[:, names.index("rrf_score")] = rrf_score
    X[:, names.index("pool_rank")] = ranks_in_query(query[mask], rrf_score)
    return Kept(mask, X)


def ranks_in_query(query: I64, score: F32) -> I64:
    """Rank of each row in its query by score, from 0; equal scores keep their order."""
    order = np.lexsort((-score, query))
    rank = np.empty(query.size, np.int64)
    rank[order] = np.arange(query.size) - np.searchsorted(query, query)
    return rank


def variants(recipe: Recipe) -> list[Variant]:
    """List all variants; the first SEEDS of them drop nothing, and none drops all features."""
    seed, table = recipe.seed, FeatureTable(recipe)
    plan = [Variant(f"nothing, seed {n}", [], [], seed + n) for n in range(SEEDS)]
    for group, names in table.groups.items():
        if len(names) < len(table.names):
            plan.append(Variant(f"features: {group}", names, [], seed))
    ranks = [name for row in recipe.features
             for name in row.all_names(recipe)[len(row.names(recipe)):]]  # fmt: skip
    if ranks:
        plan.append(Variant("features: ranks in the query", ranks, [], seed))
    for group, retrievers in retriever_groups(recipe).items():
        columns = [f"{prefix}_{name}" for prefix in ("rank", "score") for name in retrievers]
        plan.append(Variant(f"candidates: {group}", columns, retrievers, seed))
    return plan


def train(run: Run, ranker: XGBoostRanker, variant: Variant, rows: TrainRows) -> RankerModel:
    """Train a model on the columns that are left, selected as in step 6."""
    names, (X, label, query, added) = FeatureTable(run.recipe).names, rows
    if variant.retrievers:
        mask, X = without(X, query, names, run.recipe, variant.retrievers)
        label, query, added = label[mask], query[mask], added[mask]
    columns = np.flatnonzero([name not in set(variant.columns) for name in names])
    left, device = [names[c] for c in columns], run.engine.device
    sampled = query % max(1, round(len(X) / SELECTION_ROWS)) == 0  # rows that select features
    used, max_features = left, ranker.max_features or len(left)
    if max_features < len(left):
        some = matrix_of(X[sampled][:, columns], label[sampled] > 0, left, added[sampled])
        used = top_features_by_gain(some, max_features, device, variant.seed)
    matrix = xgb.QuantileDMatrix(
        X[:, [names.index(name) for name in used]], ranker.labels(label), feature_names=used,
        max_bin=ranker.max_bin, nthread=1, **({"qid": query} if ranker.is_listwise else {}),
        base_margin=added if ranker.is_of_odds and added.any() else None,
    )  # fmt: skip
    model = boost(ranker, matrix, ROUNDS, {"device": device, "seed": variant.seed})
    return tree_model(model, run.engine.threads)


def train_all(run: Run, objective: str, plan: list[Variant]) -> list[list[RankerModel]]:
    """Train the models of every variant, one a fold."""
    ranker = XGBoostRanker.first_of_one_objective(run.recipe)
    train_set = with_all_folds(run, TrainSet.read(train_files(run), (objective,)))
    mask = train_set.subsample(np.ones(train_set.fold.size, np.bool_), ROWS)
    fold, X = train_set.fold[mask], train_set.load(mask, FeatureTable(run.recipe).names)
    query = np.unique(train_set.query[mask], return_inverse=True)[1]
    correction = train_set.correction(fold=0)[mask]  # folds differ by a constant alone
    rows = TrainRows(X, train_set.label[mask], query, correction)

    def train_fold(variant: Variant, f: int) -> RankerModel:
        return train(run, ranker, variant, TrainRows(*(column[fold != f] for column in rows)))

    folds = range(run.recipe.folds)
    tasks = [partial(train_fold, variant, f) for variant in plan for f in folds]
    models = iter(in_parallel(run.engine, tasks))
    return [[next(models) for _ in folds] for _ in plan]


def drop_candidates(batch: EvalBatch, recipe: Recipe, retrievers: list[str]) -> EvalBatch:
    """Drop the candidates that only the given retrievers proposed."""
    if not retrievers:
        return batch
    candidates = batch.candidates
    sizes = np.diff(candidates.pool.offsets)
    query = np.repeat(np.arange(sizes.size), sizes)
    mask, X = without(candidates.X, query, candidates.names, recipe, retrievers)
    kept = batch.keep_rows(mask)
    return replace(kept, candidates=replace(kept.candidates, X=X))


def body(run: Run) -> None:
    """Run all variants; print the table and write it to logs/ablation.csv."""
    recipe, metric = run.recipe, run.recipe.metric
    run.require(train_files(run))
    plan, models = variants(recipe), dict[int, list[list[RankerModel]]]()
    for objective in require_trainable(run):
        with run.step(f"ablation, {objective}") as summary:
            number = recipe.objective_names.index(objective)
            models[number] = train_all(run, objective, plan)
            summary["models"] = len(plan) * recipe.folds
    batches: list[list[list[QueryScores]]] = [[[] for _ in models] for _ in plan]
    with run.step("ablation, queries") as summary:
        for batch in eval_batches(run, QUERIES):
            for n, variant in enumerate(plan):
                kept = drop_candidates(batch, recipe, variant.retrievers)
                for of_objective, (o, trained) in zip(batches[n], models.items(), strict=True):
                    score = kept.scores(trained[n])
                    of_objective.append(kept.query_scores(metric, o, score))
        scores = [[QueryScores.concat(parts) for parts in by_objective] for by_objective in batches]
        summary["queries"] = scores[0][0].session.size
    table = losses(recipe, plan, list(models), scores)
    store.write_text(run.output / "logs" / "ablation.csv", table.write_csv(float_precision=6))
    show(table)


def losses(
    recipe: Recipe, plan: list[Variant], objectives: list[int], scores: list[list[QueryScores]]
) -> pl.DataFrame:
    """Tabulate scores and losses, a row per variant; first the mean of those that drop nothing.

    scores: of each variant, by objective.
    """
    weights = [recipe.objectives[o].weight for o in objectives]
    pairs = list(zip(plan, scores, strict=True))
    whole = [own for variant, own in pairs if not (variant.columns or variant.retrievers)]
    mean = [replace(seeds[0], value=np.mean([s.value for s in seeds], axis=0))
            for seeds in zip(*whole, strict=True)]  # fmt: skip
    rows = []
    for variant, own in [(Variant("nothing", [], [], recipe.seed), mean), *pairs]:
        loss, low, high = paired_delta(mean, own, weights, recipe.seed)
        by_objective = {
            recipe.objectives[o].name: s.score() for o, s in zip(objectives, own, strict=True)
        }
        rows.append(
            {"dropped": variant.name, "columns": len(variant.columns), **by_objective,
             "score": total_score(own, weights), "loss": loss, "low": low, "high": high}
        )  # fmt: skip
    return pl.DataFrame(rows)


if __name__ == "__main__":
    raise SystemExit(main(str(__doc__), __file__, body))
