"""Measure what each group of features, and each group of retrievers, is worth: drop it.

    python -m src.tools.ablation --dataset otto        (or: make ablation DATASET=otto)

Reads what steps 1 to 5 made. The recipe's first XGBoost ranker of one objective learns from at most
ROWS training rows, in ROUNDS rounds, for all folds. It is trained again without each group of
columns, and without the candidates that only one group of retrievers proposed (their ranks and
scores dropped, the RRF score computed anew). The models rank all candidates of at most QUERIES
queries of all splits with labels, out of fold (src/rankers/oof.py).

Losses are paired differences to the mean of SEEDS models that drop nothing, with 95 % intervals by
bootstrap over sessions. The noise of training with another seed comes on top of the intervals; the
lines of single seeds show how large it is.

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
from src.core.arrays import F32, I8, I64
from src.core.console import show
from src.core.run import Run
from src.data.recipe import Recipe
from src.features.table import FeatureTable
from src.metrics.bootstrap import bootstrap, paired_difference, total_score
from src.metrics.query_scores import QueryScores
from src.rankers.base import RankerModel
from src.rankers.compiled_trees import tree_model
from src.rankers.oof import EvalBatch, eval_batches, require_trainable, with_all_folds
from src.rankers.selection import top_features_by_gain
from src.rankers.train import in_parallel
from src.rankers.train_set import SELECTION_ROWS, TrainSet
from src.rankers.train_table import train_files
from src.rankers.xgb import XGBoostRanker
from src.rankers.xgb_trainer import boost

ROWS, ROUNDS, QUERIES, SEEDS = 100_000, 80, 10_000, 3


class Experiment(NamedTuple):
    """What is dropped: columns, and the candidates that only these retrievers proposed."""

    name: str
    columns: list[str]
    retrievers: list[str]
    seed: int


class TrainRows(NamedTuple):
    """Training rows in memory; query: numbers, ascending."""

    X: F32
    label: I8
    query: I64


class Kept(NamedTuple):
    """Which rows are left without some retrievers, and their features."""

    mask: NDArray[np.bool_]
    X: F32


def retriever_groups(recipe: Recipe) -> dict[str, list[str]]:
    """Names of the retrievers of each kind; those that read an embedding are a group apart."""
    embeddings = {row.name for row in recipe.embeddings}
    groups: dict[tuple[str, bool], list[str]] = {}
    for row in recipe.retrievers:
        key = type(row).__name__, not embeddings.isdisjoint(row.tables)
        groups.setdefault(key, []).append(row.name)
    both = {kind for kind, _ in groups if (kind, True) in groups and (kind, False) in groups}
    return {
        f"{kind} of embeddings" if learned and kind in both else kind: names
        for (kind, learned), names in groups.items()
    }


def without(X: F32, query: I64, names: list[str], recipe: Recipe, retrievers: list[str]) -> Kept:
    """Drop the candidates that only some retrievers proposed; compute the RRF score anew.

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


def experiments(recipe: Recipe) -> list[Experiment]:
    """List all experiments; the first SEEDS of them drop nothing."""
    seed = recipe.seed
    plan = [Experiment(f"nothing, seed {n}", [], [], seed + n) for n in range(SEEDS)]
    for group, names in FeatureTable(recipe).groups.items():
        plan.append(Experiment(f"features: {group}", names, [], seed))
    ranks = [name for row in recipe.features
             for name in row.all_names(recipe)[len(row.names(recipe)):]]  # fmt: skip
    if ranks:
        plan.append(Experiment("features: ranks in the query", ranks, [], seed))
    for group, retrievers in retriever_groups(recipe).items():
        columns = [f"{what}_{name}" for what in ("rank", "score") for name in retrievers]
        plan.append(Experiment(f"candidates: {group}", columns, retrievers, seed))
    return plan


def train(run: Run, ranker: XGBoostRanker, what: Experiment, rows: TrainRows) -> RankerModel:
    """Train a model on the columns that are left, selected as in step 6."""
    names, (X, label, query) = FeatureTable(run.recipe).names, rows
    if what.retrievers:
        mask, X = without(X, query, names, run.recipe, what.retrievers)
        label, query = label[mask], query[mask]
    columns = np.flatnonzero([name not in set(what.columns) for name in names])
    left, device = [names[c] for c in columns], run.engine.device
    some = query % max(1, round(len(X) / SELECTION_ROWS)) == 0
    used, max_features = left, ranker.max_features or len(left)
    if max_features < len(left):
        used = top_features_by_gain(
            X[some][:, columns], label[some], left, max_features, device, what.seed
        )
    matrix = xgb.QuantileDMatrix(
        X[:, [names.index(name) for name in used]], label, feature_names=used,
        max_bin=ranker.max_bin, nthread=1, **({"qid": query} if ranker.is_listwise else {}),
    )  # fmt: skip
    model = boost(ranker, matrix, ROUNDS, {"device": device, "seed": what.seed})
    return tree_model(model, run.engine.threads)


def train_all(run: Run, objective: str, plan: list[Experiment]) -> list[list[RankerModel]]:
    """Train the models of every experiment, one a fold."""
    ranker = XGBoostRanker.first_of_one_objective(run.recipe)
    train_set = with_all_folds(run, TrainSet.read(train_files(run), (objective,)))
    some = train_set.subsample(np.ones(train_set.fold.size, np.bool_), ROWS)
    fold, X = train_set.fold[some], train_set.load(some, FeatureTable(run.recipe).names)
    query = np.unique(train_set.query[some], return_inverse=True)[1]
    every = TrainRows(X, train_set.label[some], query)

    def train_fold(what: Experiment, f: int) -> RankerModel:
        return train(run, ranker, what, TrainRows(*(part[fold != f] for part in every)))

    folds = range(run.recipe.folds)
    tasks = [partial(train_fold, what, f) for what in plan for f in folds]
    models = iter(in_parallel(run.engine, tasks))
    return [[next(models) for _ in folds] for _ in plan]


def drop_candidates(batch: EvalBatch, recipe: Recipe, retrievers: list[str]) -> EvalBatch:
    """Drop the candidates that only some retrievers proposed."""
    if not retrievers:
        return batch
    candidates = batch.candidates
    sizes = np.diff(candidates.pool.offsets)
    query = np.repeat(np.arange(sizes.size), sizes)
    mask, X = without(candidates.X, query, candidates.names, recipe, retrievers)
    kept = batch.keep_rows(mask)
    return replace(kept, candidates=replace(kept.candidates, X=X))


def body(run: Run) -> None:
    """Run every experiment, print and store the table."""
    recipe, metric = run.recipe, run.recipe.metric
    run.require(train_files(run))
    plan, models = experiments(recipe), dict[int, list[list[RankerModel]]]()
    for objective in require_trainable(run):
        with run.step(f"ablation, {objective}") as summary:
            number = recipe.objective_names.index(objective)
            models[number] = train_all(run, objective, plan)
            summary["models"] = len(plan) * recipe.folds
    parts: list[list[list[QueryScores]]] = [[[] for _ in models] for _ in plan]
    with run.step("ablation, queries") as summary:
        for batch in eval_batches(run, QUERIES):
            for n, what in enumerate(plan):
                kept = drop_candidates(batch, recipe, what.retrievers)
                for of_objective, (o, trained) in zip(parts[n], models.items(), strict=True):
                    score = kept.scores(trained[n])
                    of_objective.append(kept.query_scores(metric, o, score))
        scores = [[QueryScores.concat(part) for part in of_plan] for of_plan in parts]
        summary["queries"] = scores[0][0].session.size
    table = losses(recipe, plan, list(models), scores)
    store.write_text(run.output / "logs" / "ablation.csv", table.write_csv(float_precision=6))
    show(table)


def losses(
    recipe: Recipe, plan: list[Experiment], objectives: list[int], scores: list[list[QueryScores]]
) -> pl.DataFrame:
    """Tabulate scores and losses: a row an experiment, first the mean of those that drop nothing.

    scores: of each experiment, by objective.
    """
    weights = [recipe.objectives[o].weight for o in objectives]
    pairs = list(zip(plan, scores, strict=True))
    whole = [of for what, of in pairs if not (what.columns or what.retrievers)]
    mean = [replace(of[0], value=np.mean([s.value for s in of], axis=0))
            for of in zip(*whole, strict=True)]  # fmt: skip
    rows = []
    for what, of in [(Experiment("nothing", [], [], recipe.seed), mean), *pairs]:
        lost = [paired_difference(m, s.value) for m, s in zip(mean, of, strict=True)]
        low, high = bootstrap(lost, weights, recipe.seed)
        by_objective = {
            recipe.objectives[o].name: s.score() for o, s in zip(objectives, of, strict=True)
        }
        rows.append(
            {"dropped": what.name, "columns": len(what.columns), **by_objective,
             "score": total_score(of, weights), "loss": total_score(lost, weights),
             "low": low[-1], "high": high[-1]}
        )  # fmt: skip
    return pl.DataFrame(rows)


if __name__ == "__main__":
    raise SystemExit(main(str(__doc__), __file__, body))
