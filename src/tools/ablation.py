"""What each group of features, and each source of candidates, is worth: dropped in turn.

    python -m src.tools.ablation --dataset otto        (or: make ablation DATASET=otto)

Reads what steps 1 to 5 made. The recipe's first trees of one objective learn from at most ROWS
training rows, ROUNDS rounds, for all folds; then again without each group of columns, and without
the candidates that only one kind of rule named (their ranks and scores gone too, the fused vote
made anew). They rank all candidates of at most QUERIES queries of all windows that have labels, out
of fold (src/rankers/oof.py). Losses are against the mean of SEEDS runs that drop nothing, paired, with
95 % intervals: bootstraps over sessions. What training anew changes comes on top of them; the lines
of single seeds show how much that is.

Writes output/<dataset>/logs/ablation.csv: dropped, columns, score, loss, low, high.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl
import xgboost as xgb

from src.blend import blend_kernel
from src.candidates.pool_kernel import ABSENT, RRF
from src.candidates.rows import ItemToItemRetriever
from src.cli import main
from src.core import store
from src.core.console import show
from src.core.run import Run
from src.data.recipe import Recipe
from src.features.table import Features
from src.metrics.scores import QueryScores, bootstrap
from src.rankers import oof as held_out
from src.rankers import xgb as ranker
from src.rankers.oof import Sample
from src.rankers.score import train_files
from src.rankers.train_set import Rows

ROWS, ROUNDS, QUERIES, SEEDS = 100_000, 80, 10_000, 3


class Dropped(NamedTuple):
    """An experiment: the columns, and the rules whose candidates, go."""

    name: str
    columns: list[str]
    rules: list[str]
    seed: int


def sources(recipe: Recipe) -> dict[str, list[str]]:
    """The rules of each kind."""
    embeddings = {row.name for row in recipe.embeddings}
    found: dict[str, list[str]] = {}
    for rule in recipe.rules:
        learned = isinstance(rule, ItemToItemRetriever) and rule.matrix in embeddings
        kind = f"{type(rule).__name__}{' of embeddings' if learned else ''}"
        found.setdefault(kind, []).append(rule.name)
    return found


def without(sample: Sample, names: list[str], recipe: Recipe, rules: list[str]) -> Sample:
    """The sample without the candidates that only some rules named, the vote made anew."""
    others = [rule.name for rule in recipe.rules if rule.name not in rules]
    ranks = sample.X[:, [names.index(f"rank_{name}") for name in others]]
    named: np.ndarray = np.any(ranks < ABSENT, axis=1)
    kept, ranks = sample.take(named), ranks[named]
    X = kept.X
    X[:, names.index("vote")] = np.where(ranks < ABSENT, 1.0 / (RRF + ranks), 0.0).sum(axis=1)
    order = np.arange(len(X), dtype=np.int32)
    votes = blend_kernel.rank_votes(kept.starts, order, X[:, names.index("vote")])
    X[:, names.index("place")] = np.round(1.0 / votes - blend_kernel.RRF)
    return kept


def experiments(recipe: Recipe, features: Features) -> list[Dropped]:
    """All of them; of the first SEEDS nothing is dropped."""
    found = [Dropped(f"nothing, seed {n}", [], [], recipe.seed + n) for n in range(SEEDS)]
    for group, names in features.groups.items():
        found.append(Dropped(f"features: {group}", names, [], recipe.seed))
    ranks = [features.names[column] for column in features.targets]
    found.append(Dropped("features: ranks in the query", ranks, [], recipe.seed))
    for kind, rules in sources(recipe).items():
        gone = [f"{what}_{name}" for what in ("rank", "score") for name in rules]
        found.append(Dropped(f"candidates: {kind}", gone, rules, recipe.seed))
    return found


def learn(run: Run, job: ranker.TreeJob, what: Dropped, known: Sample) -> ranker.Trees:
    """A model of the columns that are left, chosen as step 6 does."""
    names = Features(run.recipe).names
    if what.rules:
        known = without(known, names, run.recipe, what.rules)
    columns = np.flatnonzero([name not in set(what.columns) for name in names])
    left, device = [names[c] for c in columns], run.engine.xgb_device
    few = known.query % max(1, round(len(known.X) / ranker.FEW_ROWS)) == 0
    X, at_most = known.X[few][:, columns], job.row.columns or len(left)
    used = left
    if at_most < len(left):
        used = ranker.most_gained(X, known.label[few], left, at_most, device, what.seed)
    rows = xgb.QuantileDMatrix(
        known.X[:, [names.index(name) for name in used]], known.label, feature_names=used,
        max_bin=int(job.params.get("max_bin", 256)), nthread=1,
        **({"qid": known.query} if ranker.by_query(job.row) else {}),
    )  # fmt: skip
    model = job.boost(rows, ROUNDS, {"device": device, "seed": what.seed})
    return ranker.scorer(model, run.engine.threads)


def learned(run: Run, objective: str, plan: list[Dropped]) -> list[list[ranker.Trees]]:
    """The models of every experiment, a fold each."""
    row = held_out.first_trees(run.recipe)
    rows = Rows.load(train_files(run), (objective,))
    some = rows.some(np.ones(rows.fold.size, np.bool_), ROWS)
    fold, names = held_out.folds_of_rows(run, rows)[some], Features(run.recipe).names
    starts = np.append(np.flatnonzero(np.diff(rows.query[some], prepend=-1)), some.sum())
    every = Sample(rows.item[some], rows.gather(some, names), rows.label[some], starts)

    def one(what: Dropped, f: int) -> ranker.Trees:
        return learn(run, ranker.Job(row, objective, f, run.output), what, every.take(fold != f))

    folds = range(run.recipe.folds)
    tasks = [partial(one, what, f) for what in plan for f in folds]
    models = iter(ranker.in_parallel(run.engine, tasks))
    return [[next(models) for _ in folds] for _ in plan]


def body(run: Run) -> None:
    """Run every experiment, print and store the table."""
    recipe, names = run.recipe, Features(run.recipe).names
    run.need(train_files(run))
    plan, able, models = experiments(recipe, Features(recipe)), held_out.some_learnable(run), {}
    for o, objective in enumerate(recipe.objectives):
        if objective.name in able:
            with run.step(f"ablation, {objective.name}") as facts:
                models[o] = learned(run, objective.name, plan)
                facts["models"] = len(plan) * recipe.folds
    found: list[list[list[QueryScores]]] = [[[] for _ in models] for _ in plan]
    with run.step("ablation, queries") as facts:
        for ask in held_out.asked(run, QUERIES):
            for number, (what, tallies) in enumerate(zip(plan, found, strict=True)):
                rules = what.rules
                sample = without(ask.sample, names, recipe, rules) if rules else ask.sample
                for mine, (o, of) in zip(tallies, models.items(), strict=True):
                    score = held_out.out_of_fold(of[number], sample, names, ask.fold[sample.query])
                    mine.append(ask.won(recipe, sample, o, score))
        won = [[QueryScores.joined(pieces) for pieces in tallies] for tallies in found]
        facts["queries"] = won[0][0].session.size
    table = losses(recipe, plan, list(models), won)
    store.write_text(run.output / "logs" / "ablation.csv", table.write_csv(float_precision=6))
    show(table)


def losses(
    recipe: Recipe, plan: list[Dropped], objectives: list[int], won: list[list[QueryScores]]
) -> pl.DataFrame:
    """A line an experiment: its scores, and the loss against those that drop nothing, paired."""
    shares, rows = [recipe.objectives[o].weight for o in objectives], []
    pairs = list(zip(plan, won, strict=True))
    alike = [mine for what, mine in pairs if not (what.columns or what.rules)]
    whole = [replace(of[0], hits=np.mean([t.hits for t in of], axis=0))
             for of in zip(*alike, strict=True)]  # fmt: skip
    for what, mine in [(Dropped("nothing", [], [], recipe.seed), whole), *pairs]:
        lost = [replace(t, hits=f.hits - t.hits) for f, t in zip(whole, mine, strict=True)]
        low, high = bootstrap(lost, shares, recipe.seed)
        scores = {
            recipe.objectives[o].name: t.score() for o, t in zip(objectives, mine, strict=True)
        }
        total, loss = (np.dot(shares, [t.score() for t in of]) for of in (mine, lost))
        rows.append(
            {"dropped": what.name, "columns": len(what.columns), **scores, "score": total,
             "loss": loss, "low": low[-1], "high": high[-1]}
        )  # fmt: skip
    return pl.DataFrame(rows)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
