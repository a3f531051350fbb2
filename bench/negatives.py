"""Compare ways to draw the negatives that rankers learn from: alike, or more from the pool's top.

    python -m bench.negatives --dataset otto --output output/taobao [--seeds 42 43] [--queries 9000]

Needs steps 1 to 4. Draws a training table each way (src/rankers/sampling.py), trains the rankers of
the recipe on all folds, and scores every candidate of --queries queries out of fold, as
bench.rankers does. Nothing of it is kept.

The table has a line per ranker, and one for all of them by the mean of their reciprocal ranks. Its
columns are the weighted score of each way, boosting rounds, and the paired difference with a 95 %
interval; of several seeds, all are means. Prints it and appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np

from bench import measure
from bench.rankers import Trained
from src.blend.blend_kernel import reciprocal_ranks
from src.cli import parse
from src.core.run import Run
from src.data import paths
from src.data.splits import labelled_splits
from src.metrics.bootstrap import total_score
from src.metrics.paired import paired_delta
from src.metrics.query_scores import QueryScores
from src.rankers import sampling
from src.rankers.oof import EvalBatch, eval_batches
from src.rankers.train_table import build_train_table, count_positives, trainable_objectives

HEAD = ("ranker", "alike", "from the top", "rounds", "delta", "95 %")
WAYS = {"alike": 10**9, "top": sampling.HALF}
ALL = "all, by rank"
Values = dict[tuple[str, str], list[list[QueryScores]]]
"""(ranker, way) -> objective -> scores of the batches."""


@contextmanager
def drawn(run: Run, way: str) -> Iterator[Run]:
    """Yield a run whose training tables are drawn one way; remove them at the end."""
    stage = replace(run, stage=f"bench_{way}_")
    folders = [run.output / split / paths.train_folder(stage) for split in labelled_splits(run)]
    try:
        with patch.object(sampling, "HALF", WAYS[way]):
            count_positives(stage)
            for split in labelled_splits(run):
                build_train_table(stage, split)
        yield stage
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        for file in paths.positives(stage).parent.glob(f"{stage.stage}*"):
            file.unlink()


def evaluate(
    run: Run, seed: int, queries: int
) -> tuple[Values, dict[tuple[str, str], int], list[str]]:
    """Train both ways with a seed; return all scores, the rounds, and the trained objectives."""
    run = replace(run, recipe=replace(run.recipe, seed=seed))
    trained, rounds, objectives = dict[tuple[str, str], Trained](), {}, list[str]()
    with TemporaryDirectory() as folder:
        for way in WAYS:
            with drawn(run, way) as stage:
                objectives = trainable_objectives(stage)
                for row in run.recipe.rankers:
                    trained[row.name, way] = Trained(stage, row, objectives, Path(folder) / way)
                    rounds[row.name, way] = trained[row.name, way].rounds
        values: Values = {}
        for batch in eval_batches(run, queries):
            for n, objective in enumerate(objectives):
                for key, scores in scored(batch, trained, objective).items():
                    values.setdefault(key, [[] for _ in objectives])[n].append(scores)
    return values, rounds, objectives


def scored(
    batch: EvalBatch, trained: dict[tuple[str, str], Trained], objective: str
) -> dict[tuple[str, str], QueryScores]:
    """Score a batch for an objective by each ranker, and by all of a way."""
    recipe, pool = batch.candidates.data.run.recipe, batch.candidates.pool
    score = {key: ranker.scores(batch, objective) for key, ranker in trained.items()}
    for way in WAYS:
        ranks = [reciprocal_ranks(pool.offsets, pool.item, s)
                 for (_, of), s in score.items() if of == way]  # fmt: skip
        score[ALL, way] = np.sum(ranks, axis=0, dtype=np.float32)
    number = recipe.objective_names.index(objective)
    return {key: batch.query_scores(recipe.metric, number, s) for key, s in score.items()}


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.negatives", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--queries", type=int, default=10**9, help="of all splits, at most (all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[42])
    args, flags = parser.parse_known_args(argv)
    flags = ["--dataset", args.dataset, "--output", args.output, "--engine", "cpu", *flags]
    run = parse(str(__doc__), Path("6_xgb.py"), flags)
    runs = [evaluate(run, seed, args.queries) for seed in args.seeds]
    first, _, objectives = runs[0]
    rounds = {key: sum(r[key] for _, r, _ in runs) / len(runs) for key in runs[0][1]}
    weights, lines = [o.weight for o in run.recipe.objectives if o.name in objectives], []
    for name in dict.fromkeys(name for name, _ in first):
        way = [[mean_of_seeds([QueryScores.concat(values[name, w][n]) for values, *_ in runs])
                for n in range(len(weights))] for w in WAYS]  # fmt: skip
        alike, top = way
        delta, low, high = paired_delta(top, alike, weights, run.recipe.seed)
        lines.append([
            name, *(f"{total_score(scores, weights):.4f}" for scores in way),
            " ".join(f"{rounds[name, w]:.0f}" for w in WAYS if (name, w) in rounds),
            f"{delta:+.4f}", f"[{low:.4f}, {high:.4f}]",
        ])  # fmt: skip
    text = f"{top[0].session.size} queries, {run.recipe.metric}"
    title = measure.title(measure.origin(argv, "bench.negatives"), text)
    measure.append_table(title, measure.table(HEAD, lines))
    return 0


def mean_of_seeds(scores: list[QueryScores]) -> QueryScores:
    """Average the values of each query over seeds."""
    value = np.mean([s.value for s in scores], axis=0)
    return QueryScores(scores[0].session, value, scores[0].ideal)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
