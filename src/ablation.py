"""What each group of features, and each source of candidates, is worth: dropped in turn.

    python -m src.ablation --dataset otto        (or: make ablation DATASET=otto)

Reads what steps 1 to 5 made. The recipe's first trees of one objective learn from at most ROWS
training rows, ROUNDS rounds, for all folds; then again without each group of columns, and without
the candidates that only one kind of rule named (their ranks and scores gone too, the fused vote
made anew). They rank all candidates of at most QUERIES queries of all windows that have labels, out
of fold: here the windows that are only learned from have folds too, and no model sees its fold's
sessions in any of them. Losses are paired, with 95 % intervals; `another seed` shows what is noise.

Writes output/<dataset>/logs/ablation.csv: dropped, columns, score, loss, low, high.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
import xgboost as xgb

from src import blend_kernel, ranker, store
from src.candidates import open_world, part_files, parts, show
from src.events import F32, F64, I8, I32, I64
from src.features import Features
from src.metrics import Tally, bootstrap
from src.pool_kernel import ABSENT, RRF
from src.recipe import Recipe
from src.rows.rankers import RankerRow
from src.rows.rules import MatrixRule
from src.run import Run, main
from src.scoring import train_files
from src.training import Sampler, all_folds, claim, keep_queries, learnable, pools, truths
from src.training_rows import Rows

ROWS, ROUNDS, QUERIES = 100_000, 80, 10_000


@dataclass(frozen=True)
class Sample:
    """Candidates of whole queries as CSR: items, features, and whether they came true.

    label: (rows), or (rows, objectives); starts: the first row of each query, and the end.
    """

    aid: I32
    X: F32
    label: np.ndarray
    starts: I64

    def take(self, rows: np.ndarray) -> Sample:
        """The marked rows."""
        running = np.concatenate([[0], np.cumsum(rows)])
        return Sample(self.aid[rows], self.X[rows], self.label[rows], running[self.starts])

    @property
    def query(self) -> I64:
        """The number of each row's query."""
        return np.repeat(np.arange(self.starts.size - 1), np.diff(self.starts))


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

    def won(self, recipe: Recipe, sample: Sample, objective: int, score: F32) -> Tally:
        """What the queries win when a score ranks a sample, or what is left of it."""
        best = blend_kernel.top_rows(sample.starts, sample.aid, score, recipe.k)
        true = sample.label[:, objective] == 1
        hits = blend_kernel.gains(best, true, recipe.metric == "mrr")
        return Tally(self.session, hits, self.chances[objective])


class Dropped(NamedTuple):
    """An experiment: the columns, and the rules whose candidates, go."""

    name: str
    columns: list[str]
    rules: list[str]
    seed: int


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
        world, truth, fold = open_world(run, split), truths(run, split), all_folds(run, split)
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
                starts = np.append(some.offsets[:-1][mine], some.aid.size)
                sample = Sample(some.aid, features.compute(world, some), label, starts)
                yield Asked(raw[session], fold[session], chances[:, session], sample)


def sources(recipe: Recipe) -> dict[str, list[str]]:
    """The rules of each kind."""
    embeddings = {row.name for row in recipe.embeddings}
    found: dict[str, list[str]] = {}
    for rule in recipe.rules:
        learned = isinstance(rule, MatrixRule) and rule.matrix in embeddings
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
    """All of them; of the first nothing is dropped."""
    found = [Dropped("nothing", [], [], recipe.seed),
             Dropped("nothing, another seed", [], [], recipe.seed + 1)]  # fmt: skip
    for group, names in features.groups.items():
        found.append(Dropped(f"features: {group}", names, [], recipe.seed))
    ranks = [name for name in features.names if name.endswith("_rank")]
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


def first_trees(recipe: Recipe) -> RankerRow:
    """The first ranker of trees that learns one objective; ValueError where there is none."""
    for row in recipe.rankers:
        if isinstance(row, RankerRow) and not row.shared:
            return row
    raise ValueError(f"recipe {recipe.name}: no RankerRow learns one objective")


def learned(run: Run, objective: str, plan: list[Dropped]) -> list[list[ranker.Trees]]:
    """The models of every experiment, a fold each."""
    row = first_trees(run.recipe)
    rows = Rows.load(train_files(run), (objective,))
    some = rows.some(np.ones(rows.fold.size, np.bool_), ROWS)
    fold, names = folds_of_rows(run, rows)[some], Features(run.recipe).names
    starts = np.append(np.flatnonzero(np.diff(rows.query[some], prepend=-1)), some.sum())
    every = Sample(rows.aid[some], rows.gather(some, names), rows.label[some], starts)

    def one(what: Dropped, f: int) -> ranker.Trees:
        return learn(run, ranker.Job(row, objective, f, run.output), what, every.take(fold != f))

    folds = range(run.recipe.folds)
    tasks = [partial(one, what, f) for what in plan for f in folds]
    models = iter(ranker.in_parallel(run.engine, tasks))
    return [[next(models) for _ in folds] for _ in plan]


def out_of_fold(models: list[ranker.Trees], sample: Sample, names: list[str], fold: I64) -> F32:
    """Score of each row, by the model that never saw its session; fold: of each row."""
    score = np.zeros(len(sample.X), np.float32)
    for f in np.unique(fold):
        rows = np.flatnonzero(fold == f)
        score[rows] = ranker.predict([models[f]], sample.X, names, rows)
    return score


def body(run: Run) -> None:
    """Run every experiment, print and store the table."""
    recipe, names = run.recipe, Features(run.recipe).names
    run.need(train_files(run))
    plan, able, models = experiments(recipe, Features(recipe)), some_learnable(run), {}
    for o, objective in enumerate(recipe.objectives):
        if objective.name in able:
            with run.step(f"ablation, {objective.name}") as facts:
                models[o] = learned(run, objective.name, plan)
                facts["models"] = len(plan) * recipe.folds
    found: list[list[list[Tally]]] = [[[] for _ in models] for _ in plan]
    with run.step("ablation, queries") as facts:
        for ask in asked(run, QUERIES):
            for number, (what, tallies) in enumerate(zip(plan, found, strict=True)):
                rules = what.rules
                sample = without(ask.sample, names, recipe, rules) if rules else ask.sample
                for mine, (o, of) in zip(tallies, models.items(), strict=True):
                    score = out_of_fold(of[number], sample, names, ask.fold[sample.query])
                    mine.append(ask.won(recipe, sample, o, score))
        won = [[Tally.joined(pieces) for pieces in tallies] for tallies in found]
        facts["queries"] = won[0][0].session.size
    table = losses(recipe, plan, list(models), won)
    store.write_text(run.output / "logs" / "ablation.csv", table.write_csv(float_precision=6))
    show(table)


def some_learnable(run: Run) -> list[str]:
    """Those of `learnable`; ValueError where there is none."""
    if able := learnable(run):
        return able
    raise ValueError("too few labels to learn any objective from; take more data")


def losses(
    recipe: Recipe, plan: list[Dropped], objectives: list[int], won: list[list[Tally]]
) -> pl.DataFrame:
    """A line an experiment: its scores, and what is lost against the first one, paired."""
    shares, rows = [recipe.objectives[o].weight for o in objectives], []
    for what, mine in zip(plan, won, strict=True):
        lost = [replace(t, hits=f.hits - t.hits) for f, t in zip(won[0], mine, strict=True)]
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
