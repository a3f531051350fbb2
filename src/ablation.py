"""What each group of features, and each source of candidates, is worth: dropped in turn.

    python -m src.ablation --dataset otto        (or: make ablation DATASET=otto)

Reads what steps 1 to 5 made. On one fixed sample, the recipe's first ranker learns from at most
ROWS training rows of the folds but the first, ROUNDS rounds, and ranks all candidates of at most
QUERIES held-out queries of the first fold; then again without each group of columns, and without
the candidates that only one kind of rule named (its ranks and scores gone too, the fused vote made
anew). The loss is paired, with a 95 % interval; `another seed` shows what is noise.

Writes output/<dataset>/logs/ablation.csv: dropped, columns, score, loss, low, high.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
import xgboost as xgb

from src import blend_kernel, ranker, store
from src.candidates import open_world, parts, show
from src.events import F32, I64
from src.features import Features
from src.metrics import Tally, bootstrap
from src.pool import Pool
from src.pool_kernel import ABSENT, RRF
from src.recipe import Recipe
from src.rows.rankers import RankerRow
from src.rows.rules import MatrixRule
from src.run import Run, main
from src.scoring import train_files
from src.training import Sampler, folds, keep_queries, learnable, pools
from src.training_rows import Rows

ROWS, ROUNDS, QUERIES = 100_000, 80, 2_000


@dataclass(frozen=True)
class Sample:
    """What is learned from, or ranked, for one objective: rows of whole queries as CSR."""

    X: F32
    label: np.ndarray
    starts: I64

    def take(self, rows: np.ndarray) -> Sample:
        """The marked rows."""
        running = np.concatenate([[0], np.cumsum(rows)])
        return Sample(self.X[rows], self.label[rows], running[self.starts])


def learned(run: Run, objective: str, names: list[str]) -> Sample:
    """Training rows of all folds but the first."""
    rows = Rows.load(train_files(run), (objective,))
    mask = rows.some(rows.fold != 0, ROWS)
    starts = np.flatnonzero(np.diff(rows.query[mask], prepend=-1))
    return Sample(rows.gather(mask, names), rows.label[mask], np.append(starts, mask.sum()))


def held_out(run: Run) -> tuple[list[Pool], list[F32]]:
    """Pools, and features, of a fixed sample of the first fold's queries that have a truth."""
    features, fold, world = Features(run.recipe), folds(run, "valid"), open_world(run, "valid")
    truth = pl.read_parquet(run.output / "valid" / "labels.parquet", columns=["session"])
    asked = np.zeros(fold.size, np.bool_)
    asked[truth["session"].unique().to_numpy()] = True
    wanted = np.flatnonzero(asked & (fold == 0))
    wanted = wanted[:: max(1, wanted.size // QUERIES)]
    kept = np.isin(np.arange(fold.size), wanted)
    found = []
    for part in run.progress(parts(world), "held-out queries"):
        for pool in pools(run, world, part):
            few = keep_queries(pool, kept[pool.first : pool.first + pool.offsets.size - 1])
            if few.aid.size:
                found.append((few, features.compute(world, few)))
    return [pool for pool, _ in found], [X for _, X in found]


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
    X = kept.X.copy()
    X[:, names.index("vote")] = np.where(ranks < ABSENT, 1.0 / (RRF + ranks), 0.0).sum(axis=1)
    order = np.arange(len(X), dtype=np.int32)
    votes = blend_kernel.rank_votes(kept.starts, order, X[:, names.index("vote")])
    X[:, names.index("place")] = np.round(1.0 / votes - blend_kernel.RRF)
    return Sample(X, kept.label, kept.starts)


def hits(
    run: Run, objective: str, known: Sample, held: Sample, columns: np.ndarray, seed: int
) -> np.ndarray:
    """What each held-out query wins when a model of these columns ranks it."""
    row = next(row for row in run.recipe.rankers if isinstance(row, RankerRow) and not row.shared)
    job = ranker.Job(row, objective, 0, run.output)
    query = np.repeat(np.arange(known.starts.size - 1), np.diff(known.starts))
    rows = xgb.QuantileDMatrix(
        known.X[:, columns], known.label, max_bin=int(job.params.get("max_bin", 256)), nthread=1,
        **({"qid": query} if job.by_query else {}),
    )  # fmt: skip
    model = job.boost(rows, ROUNDS, {"device": run.engine.xgb_device, "seed": seed})
    score = model.inplace_predict(held.X[:, columns], predict_type="margin")
    order = np.arange(score.size, dtype=np.int32)
    best = blend_kernel.top_rows(held.starts, order, score, run.recipe.k)
    return blend_kernel.gains(best, held.label == 1, run.recipe.metric == "mrr")


def experiments(recipe: Recipe, features: Features) -> list[tuple[str, list[str], list[str], int]]:
    """What is dropped: its name, the columns, the rules whose candidates go, the seed."""
    found: list[tuple[str, list[str], list[str], int]] = [
        ("nothing", [], [], recipe.seed), ("nothing, another seed", [], [], recipe.seed + 1)
    ]  # fmt: skip
    for group, names in features.groups.items():
        found.append((f"features: {group}", names, [], recipe.seed))
    found.append(
        ("features: ranks in the query",
         [name for name in features.names if name.endswith("_rank")], [], recipe.seed)
    )  # fmt: skip
    for kind, rules in sources(recipe).items():
        gone = [f"{what}_{name}" for what in ("rank", "score") for name in rules]
        found.append((f"candidates: {kind}", gone, rules, recipe.seed))
    return found


def tallies(run: Run, objective: int, pools_: list[Pool], X: F32) -> dict[str, Tally]:
    """Hits of the held-out queries under each experiment, for one objective."""
    recipe, features = run.recipe, Features(run.recipe)
    names, name = features.names, run.recipe.objectives[objective].name
    labels = pl.read_parquet(run.output / "valid" / "labels.parquet")
    truth = labels.filter(pl.col("objective") == objective).select("session", "aid")
    label = np.concatenate([Sampler(truth, 0.0, 0).label(pool) for pool in pools_])
    session = np.concatenate([pool.session for pool in pools_])
    starts = np.append(np.flatnonzero(np.diff(session, prepend=-1)), session.size)
    known, held = learned(run, name, names), Sample(X, label, starts)
    cap = recipe.k if recipe.metric == "recall" else 1
    chances = truth.group_by("session").agg(n=pl.len().clip(upper_bound=cap))
    asked = pl.DataFrame({"session": session[starts[:-1]]}).join(chances, on="session", how="left")
    plan = experiments(recipe, features)

    def run_one(gone: list[str], rules: list[str], seed: int) -> np.ndarray:
        columns = np.flatnonzero([n not in set(gone) for n in names])
        mine, theirs = (without(s, names, recipe, rules) if rules else s for s in (known, held))
        return hits(run, name, mine, theirs, columns, seed)

    won = ranker.in_parallel(run.engine, [partial(run_one, *what[1:]) for what in plan])
    n = asked["n"].fill_null(0).to_numpy().astype(np.float64)
    queries = asked["session"].to_numpy().astype(np.int64)
    return {what[0]: Tally(queries, w, n) for what, w in zip(plan, won, strict=True)}


def body(run: Run) -> None:
    """Run every experiment, print and store the table."""
    recipe, features = run.recipe, Features(run.recipe)
    run.need(train_files(run))
    able = learnable(run)
    pools_, X = held_out(run)
    chosen = [o for o, objective in enumerate(recipe.objectives) if objective.name in able]
    found = []
    for o in chosen:
        with run.step(f"ablation, {recipe.objectives[o].name}") as facts:
            found.append(tallies(run, o, pools_, np.concatenate(X)))
            facts["models"] = len(found[-1])
    shares = [recipe.objectives[o].weight for o in chosen]
    full, rows = [t["nothing"] for t in found], []
    for name, gone, _, _ in experiments(recipe, features):
        mine = [t[name] for t in found]
        lost = [
            Tally(f.session, f.hits - t.hits, f.chances) for f, t in zip(full, mine, strict=True)
        ]
        low, high = bootstrap(lost, shares, recipe.seed)
        loss = sum(w * t.score() for w, t in zip(shares, lost, strict=True))
        rows.append(
            {"dropped": name, "columns": len(gone)}
            | {recipe.objectives[o].name: t.score() for o, t in zip(chosen, mine, strict=True)}
            | {"score": sum(w * t.score() for w, t in zip(shares, mine, strict=True)),
               "loss": loss, "low": low[-1], "high": high[-1]}
        )  # fmt: skip
    table = pl.DataFrame(rows)
    store.write_text(run.output / "logs" / "ablation.csv", table.write_csv(float_precision=6))
    show(table)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
