"""Compare rankers of the recipe and variants of them, out of fold, on all splits with labels.

    python -m bench.rankers --dataset otto --output output/taobao
    python -m bench.rankers --dataset otto --output output/taobao --also deep slow --queries 500

Needs steps 1 to 5. Trains every row for all folds and objectives, and scores every candidate of
--queries queries. No model learns from a session of its fold, in any split (src/rankers/oof.py).
Features are selected as in step 6. No model is kept.

The table has a line for every row, for the first row blended with each other row (by equal
reciprocal ranks), and for the first row on only the first candidates of the pool (--first). Its
columns are models, boosting rounds, CPU seconds of training, scores by objective, their weighted
total, and its paired difference to the first row with a 95 % interval. Prints the table and appends
it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import measure
from src.blend import blend_kernel
from src.cli import parse
from src.core.arrays import F32
from src.core.run import Run
from src.metrics.bootstrap import total_score
from src.metrics.paired import paired_delta
from src.metrics.query_scores import QueryScores
from src.rankers.base import FOLD_LOG, FitTask, Ranker, RankerModel
from src.rankers.oof import EvalBatch, eval_batches, require_trainable, with_all_folds
from src.rankers.train import Target, in_parallel, targets
from src.rankers.train_set import TrainSet
from src.rankers.train_table import train_files
from src.rankers.xgb import SOFTMAX, XGBoostRanker

HEAD = ("row", "models", "rounds", "CPU s", "objectives", "total", "delta to the first", "95 %")
Params = dict[str, float | int | str]
PARAMS: dict[str, Params] = {
    "deep": {"max_depth": 8},
    "flat": {"max_depth": 4},
    "slow": {"learning_rate": 0.03},
    "heavy": {"min_child_weight": 50},
    "smooth": {"lambda": 30.0},
    "few": {"colsample_bytree": 0.1},
    "half": {"subsample": 0.5},
}
"""Changed parameters of the first row, by name of the variant."""
LOSSES: dict[str, tuple[str, bool]] = {
    "ndcg": ("rank:ndcg", False),
    "softmax": (SOFTMAX, False),
    "pairwise": ("rank:pairwise", False),
    "graded": ("rank:ndcg", True),
    "graded_softmax": (SOFTMAX, True),
}
"""Loss of the variant, and whether one model learns all objectives; they stop early on ndcg@k."""
FEATURES = {"columns_80": 80, "columns_300": 300}
"""max_features of the variant."""


def variant(row: XGBoostRanker, change: str, k: int) -> XGBoostRanker:
    """Change one entry of a row."""
    name = f"{row.name}_{change}"
    if change in FEATURES:
        return replace(row, name=name, max_features=FEATURES[change])
    if change in PARAMS:
        return replace(row, name=name, params=tuple((dict(row.params) | PARAMS[change]).items()))
    loss, shared = LOSSES[change]
    params = tuple((dict(row.params) | {"objective": loss}).items())
    return replace(row, name=name, params=params, eval_metric=f"ndcg@{k}", shared=shared)


class Trained:
    """Models of a row, by target and fold."""

    def __init__(self, run: Run, row: Ranker, objectives: list[str], folder: Path) -> None:
        self.run, self.row, self.folder = run, row, folder
        self.rounds, start = 0, time.process_time()
        self.models: dict[str, list[RankerModel]] = {}
        for target in targets(replace(run.recipe, rankers=(row,)), objectives):
            train_set = TrainSet.read(train_files(run), target.objectives)
            train_set = with_all_folds(run, train_set)
            folds = range(run.recipe.folds)
            tasks = [partial(self.train, target, train_set, fold) for fold in folds]
            trained = in_parallel(run.engine, tasks)
            self.models[target.name] = [model for model, _ in trained]
            self.rounds += sum(rounds for _, rounds in trained)
        self.seconds = time.process_time() - start

    @property
    def n_models(self) -> int:
        return sum(map(len, self.models.values()))

    def train(self, target: Target, train_set: TrainSet, fold: int) -> tuple[RankerModel, int]:
        """Train the model of a fold, and count its rounds."""
        run, row, logs = self.run, self.row, self.folder / f"{self.row.name}_{target.name}_{fold}"
        task = FitTask(row, target.name, fold, logs, run.engine, run.recipe.seed)
        data, path = row.prepare(run, task, train_set), logs.with_suffix(f".{row.suffix}")
        row.fit(task, data, path)
        rounds = json.loads((logs / FOLD_LOG).read_text())["best_round"] + 1
        return row.load(path, run), rounds

    def scores(self, batch: EvalBatch, objective: str) -> F32:
        """Score the candidates of a batch for an objective, out of fold."""
        models = self.models[self.row.target(objective)]
        return batch.scores([model.of(objective) for model in models])


def evaluate(
    run: Run, trained: list[Trained], objectives: list[str], queries: int, sizes: list[int]
) -> dict[str, list[QueryScores]]:
    """Score all `ways` on all batches: by name of the way, the scores of each objective."""
    parts = dict[str, list[list[QueryScores]]]()
    for batch in eval_batches(run, queries):
        for number, objective in enumerate(objectives):
            o = run.recipe.objective_names.index(objective)
            for name, (ranked, score) in ways(batch, trained, objective, sizes).items():
                scores = ranked.query_scores(run.recipe.metric, o, score)
                parts.setdefault(name, [[] for _ in objectives])[number].append(scores)
    return {
        name: [QueryScores.concat(batches) for batches in by_objective]
        for name, by_objective in parts.items()
    }


def ways(
    batch: EvalBatch, trained: list[Trained], objective: str, sizes: list[int]
) -> dict[str, tuple[EvalBatch, F32]]:
    """List the compared ways by name: the candidates that are ranked, and their scores."""
    pool = batch.candidates.pool
    scores = {ranker.row.name: ranker.scores(batch, objective) for ranker in trained}
    reciprocal = {name: blend_kernel.reciprocal_ranks(pool.offsets, pool.item, score)
             for name, score in scores.items()}  # fmt: skip
    first, *others = reciprocal
    both = {f"{first} + {other}": reciprocal[first] + reciprocal[other] for other in others}
    compared = {name: (batch, score) for name, score in (scores | both).items()}
    for size in sizes:
        rows = batch.position < size
        compared[f"{first}, first {size}"] = batch.keep_rows(rows), scores[first][rows]
    return compared


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.rankers", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--queries", type=int, default=10**9, help="of all splits, at most (all)")
    parser.add_argument("--first", nargs="+", type=int, default=[], help="sizes of the cut pool")
    changes = [*PARAMS, *LOSSES, *FEATURES]
    parser.add_argument("--also", nargs="+", default=[], choices=changes, help="variants")
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", args.output, "--engine", "cpu"]
    run = parse(str(__doc__), Path("6_xgb.py"), flags)
    recipe, objectives = run.recipe, require_trainable(run)
    first_row = XGBoostRanker.first_of_one_objective(recipe)
    rows: list[Ranker] = [first_row, *(row for row in recipe.rankers if row != first_row)]
    rows += [variant(first_row, change, recipe.k) for change in args.also]
    with TemporaryDirectory() as folder:
        progress = run.progress(rows, "rankers")
        trained = [Trained(run, row, objectives, Path(folder)) for row in progress]
        by_way = evaluate(run, trained, objectives, args.queries, args.first)
    weights = [o.weight for o in recipe.objectives if o.name in objectives]
    first, lines = by_way[first_row.name], []
    cost = {t.row.name: (t.n_models, t.rounds, f"{t.seconds:.0f}") for t in trained}
    for name, scores in by_way.items():
        delta, low, high = paired_delta(scores, first, weights, recipe.seed)
        lines.append([
            name, *cost.get(name, ("", "", "")), " ".join(f"{s.score():.4f}" for s in scores),
            f"{total_score(scores, weights):.4f}", f"{delta:+.4f}",
            f"[{low:.4f}, {high:.4f}]",
        ])  # fmt: skip
    text = f"{first[0].session.size} queries, {recipe.metric} of {', '.join(objectives)}"
    title = measure.title(measure.origin(argv, "bench.rankers"), text)
    measure.append_table(title, measure.table(HEAD, lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
