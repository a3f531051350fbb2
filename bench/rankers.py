"""Which rankers: recipe rows and variants of them, out of fold, on all windows that have labels.

    python -m bench.rankers --dataset otto --output output/taobao
    python -m bench.rankers --dataset otto --output output/taobao --also deep slow --queries 500

Needs steps 1 to 5; of the recipe's rankers, those that are trees. No model sees its fold's sessions
in any window (src/rankers/oof.py); only the columns that a row keeps are chosen as in step 6.

Trains every row for all folds and objectives, nothing of which is kept, and scores every candidate
of at most so many queries. Of each row, of the rank votes of pairs with the first one, and of the
first one where only the pool's first candidates are ranked (`--first`): the score by objective, the
total, and what it gains over the first row, paired by session, with a 95 % interval. Appends to
bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench import measure
from src.blend import blend_kernel
from src.cli import parse
from src.core.arrays import F32, I64
from src.core.run import Run
from src.features.table import Features
from src.metrics import scores as metrics
from src.metrics.scores import QueryScores
from src.rankers import oof as held_out
from src.rankers import xgb as ranker
from src.rankers.oof import Sample
from src.rankers.rows import XGBoostRanker, taught
from src.rankers.score import train_files
from src.rankers.train_set import Rows

HEAD = ("row", "models", "trees", "CPU s", "objectives", "total", "gain over the first", "95 %")
Params = dict[str, float | int | str]
ALSO: dict[str, Params] = {
    "deep": {"max_depth": 8},
    "flat": {"max_depth": 4},
    "slow": {"learning_rate": 0.03},
    "heavy": {"min_child_weight": 50},
    "smooth": {"lambda": 30.0},
    "few": {"colsample_bytree": 0.1},
    "half": {"subsample": 0.5},
}
"""Parameters of the first row that are changed."""
KINDS: dict[str, tuple[Params, bool]] = {
    "ndcg": ({"objective": "rank:ndcg"}, False),
    "softmax": ({"objective": ranker.SOFTMAX}, False),
    "pairwise": ({"objective": "rank:pairwise"}, False),
    "graded": ({"objective": "rank:ndcg"}, True),
    "graded_softmax": ({"objective": ranker.SOFTMAX}, True),
}
"""Parameters, and whether one model learns all objectives; they stop at ndcg@k."""
COLUMNS = {"columns_80": 80, "columns_300": 300}


def variants(row: XGBoostRanker, also: list[str], k: int) -> list[XGBoostRanker]:
    """Rows like this one, by what is changed."""
    found = []
    for name in also:
        change, shared = KINDS.get(name, (ALSO.get(name, {}), row.shared))
        found.append(replace(
            row, name=f"{row.name}_{name}", params=tuple((dict(row.params) | change).items()),
            metric=f"ndcg@{k}" if name in KINDS else row.metric, shared=shared,
            columns=COLUMNS.get(name, row.columns),
        ))  # fmt: skip
    return found


class Trained:
    """A row's models by objective and fold."""

    def __init__(self, run: Run, row: XGBoostRanker, able: list[str], place: Path) -> None:
        self.row, self.folds, self.trees, start = row, run.recipe.folds, 0, time.process_time()
        ranker.useful.cache_clear()  # each row is to pay for its own columns
        self.models: dict[tuple[str, int], ranker.Trees] = {}
        names, seed = Features(run.recipe).names, run.recipe.seed
        for what in dict.fromkeys(taught(row, name) for name in able):
            rows = Rows.load(train_files(run), able if row.shared else [what])
            rows = replace(rows, fold=held_out.folds_of_rows(run, rows))

            def train(fold: int, what: str = what, rows: Rows = rows) -> tuple[int, ranker.Trees]:
                job = ranker.Job(row, what, fold, place / f"{row.name}_{what}_{fold}")
                used = ranker.chosen(job, rows, names, run.engine, seed)
                model = ranker.train(job, ranker.Binned.of(job, rows, used), run.engine, seed)
                return model.num_boosted_rounds(), ranker.scorer(model, run.engine.threads)

            tasks = [partial(train, fold) for fold in range(run.recipe.folds)]
            for fold, (trees, model) in enumerate(ranker.in_parallel(run.engine, tasks)):
                self.models[what, fold] = model
                self.trees += trees
        self.seconds = time.process_time() - start

    def scores(self, sample: Sample, names: list[str], fold: I64, objective: str) -> F32:
        """Of each row, by the model that never saw its session; fold: of each row."""
        what = taught(self.row, objective)
        return held_out.out_of_fold(
            [self.models[what, f] for f in range(self.folds)], sample, names, fold
        )


def tallies(
    run: Run, trained: list[Trained], able: list[str], queries: int, sizes: list[int]
) -> dict[str, list[QueryScores]]:
    """What every row, every pair with the first one, and less of the pool win by objective."""
    names, found = Features(run.recipe).names, dict[str, list[list[QueryScores]]]()
    for ask in held_out.asked(run, queries):
        fold = ask.fold[ask.sample.query]
        for number, objective in enumerate(able):
            scores = {t.row.name: t.scores(ask.sample, names, fold, objective) for t in trained}
            votes = {name: blend_kernel.rank_votes(ask.sample.starts, ask.sample.item, score)
                     for name, score in scores.items()}  # fmt: skip
            first, *others = votes
            scores |= {f"{first} + {other}": votes[first] + votes[other] for other in others}
            o = [what.name for what in run.recipe.objectives].index(objective)
            won = {
                name: ask.won(run.recipe, ask.sample, o, score) for name, score in scores.items()
            }
            for size in sizes:
                rows = ask.sample.place < size
                few, score = ask.sample.take(rows), scores[first][rows]
                won[f"{first}, first {size}"] = ask.won(run.recipe, few, o, score)
            for name, tally in won.items():
                found.setdefault(name, [[] for _ in able])[number].append(tally)
    return {name: [QueryScores.joined(pieces) for pieces in of] for name, of in found.items()}


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.rankers", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--queries", type=int, default=10**9, help="of all windows, at most (all)")
    parser.add_argument(
        "--first", nargs="+", type=int, default=[], help="of the pool, only so many"
    )
    known = [*ALSO, *KINDS, *COLUMNS]
    parser.add_argument("--also", nargs="+", default=[], choices=known, help="like the first row")
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", args.output, "--engine", "cpu"]
    run = parse(str(__doc__), Path("6_xgb.py"), flags)
    able, recipe = held_out.some_learnable(run), run.recipe
    first_row = held_out.first_trees(recipe)
    others = [row for row in recipe.rankers if isinstance(row, XGBoostRanker) and row != first_row]
    with TemporaryDirectory() as folder:
        rows = [first_row, *others, *variants(first_row, args.also, recipe.k)]
        every = run.progress(rows, "rankers")
        trained = [Trained(run, row, able, Path(folder)) for row in every]
    weights = [o.weight for o in recipe.objectives if o.name in able]
    found, lines = tallies(run, trained, able, args.queries, args.first), []
    first = found[first_row.name]
    cost = {one.row.name: (len(one.models), one.trees, f"{one.seconds:.0f}") for one in trained}
    for name, mine in found.items():
        scores = [t.score() for t in mine]
        gains = [replace(a, hits=a.hits - b.hits) for a, b in zip(mine, first, strict=True)]
        low, high = metrics.bootstrap(gains, weights, recipe.seed)
        gain = float(np.dot([t.score() for t in gains], weights))
        lines.append([
            name, *cost.get(name, ("", "", "")), " ".join(f"{s:.4f}" for s in scores),
            f"{np.dot(scores, weights):.4f}", f"{gain:+.4f}", f"[{low[-1]:.4f}, {high[-1]:.4f}]",
        ])  # fmt: skip
    told = f"{first[0].session.size} queries, {recipe.metric}@{recipe.k} of {', '.join(able)}"
    title = measure.title(measure.origin(argv, "bench.rankers"), told)
    measure.append_table(title, measure.table(HEAD, lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
