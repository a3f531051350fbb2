"""Compare every loss with every net, trees, and single columns, on one dataset, out of fold.

    python -m bench.losses --dataset letor --input input/letor --output output/letor [--seeds 5]

Needs steps 1 to 5. No model learns from a query of its fold, in any split (src/rankers/oof.py); the
epoch or round of a model is chosen on its fold, for all kinds alike. Models are kept in
<output>/bench/losses-*: a run that was stopped goes on, and another seed adds to it.

A row of the table is a net with a loss, or a kind of trees with a loss. Its score is the mean over
seeds; sd is the deviation between seeds; the delta to the first row of trees is that of the mean
value per query, paired, with a 95 % interval over queries. "all seeds" ranks by the mean of the
seeds' softmax within the query. Floors are features alone, and `--floors` names them. Where all
grades are positive, as ratings are, `--threshold` says above which one BCE takes a grade for
relevant, and trees with a binary loss are left out. Appends the table to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import measure
from src.blend import blend_kernel
from src.cli import parse
from src.core.arrays import F32
from src.core.budget import peak_gib
from src.core.run import Run
from src.metrics.bootstrap import bootstrap, paired_difference
from src.metrics.query_scores import QueryScores
from src.rankers.base import FOLD_LOG, FitTask, Ranker, RankerModel
from src.rankers.lgbm import LightGBMRanker
from src.rankers.losses.approx_ndcg import ApproxNDCG
from src.rankers.losses.base import Loss
from src.rankers.losses.hybrid import Hybrid
from src.rankers.losses.lambdas import LambdaLoss, LambdaRank
from src.rankers.losses.listmle import ListMLE
from src.rankers.losses.listnet import ListNet
from src.rankers.losses.neural_ndcg import NeuralNDCG
from src.rankers.losses.pairs import RankNet
from src.rankers.losses.pointwise import BCE, SquaredError
from src.rankers.losses.softmax import Softmax
from src.rankers.net import NetRanker
from src.rankers.nets.base import Net
from src.rankers.nets.linear import Linear
from src.rankers.nets.list_transformer import ListTransformer
from src.rankers.nets.mlp import MLP
from src.rankers.oof import EvalBatch, eval_batches, require_trainable, with_all_folds
from src.rankers.train import in_parallel
from src.rankers.train_set import TrainSet
from src.rankers.train_table import train_files
from src.rankers.xgb import XGBoostRanker

LOSSES: dict[str, Loss] = {
    "bce": BCE(),
    "squared_error": SquaredError(),
    "ranknet": RankNet(),
    "ranknet_sampled": RankNet(sampled=8),
    "listnet": ListNet(),
    "softmax": Softmax(gain="exponential", over="lists"),
    "listmle": ListMLE(),
    "listmle_shuffled": ListMLE(ties="shuffle"),
    "listmle_top10": ListMLE(top_k=10),
    "p_listmle": ListMLE(weights="log"),
    "lambdarank": LambdaRank(k=10),
    "lambdaloss": LambdaLoss(k=10),
    "approx_ndcg": ApproxNDCG(),
    "neural_ndcg": NeuralNDCG(),
    "hybrid": Hybrid(terms=((0.7, ListMLE()), (0.3, RankNet()))),
}
NETS: dict[str, Net] = {"mlp": MLP(), "transformer": ListTransformer()}
TREES: tuple[Ranker, ...] = (
    LightGBMRanker(
        "lightgbm_lambdarank",
        (("objective", "lambdarank"), ("learning_rate", 0.05), ("num_leaves", 15),
         ("min_data_in_leaf", 50), ("feature_fraction", 0.5), ("bagging_fraction", 0.8),
         ("bagging_freq", 1)),
        eval_metric="ndcg@10",
    ),
    XGBoostRanker(
        "xgboost_ndcg",
        (("objective", "rank:ndcg"), ("learning_rate", 0.05), ("max_depth", 4),
         ("min_child_weight", 5), ("subsample", 0.8), ("colsample_bytree", 0.5)),
        eval_metric="ndcg@10",
    ),
)  # fmt: skip
TREE_LOSSES = {"lightgbm": ("rank_xendcg", "binary"), "xgboost": ("rank:pairwise", "rank:map")}
"""Other losses of the first row of each kind."""
HEAD = ("row", "score", "sd of seeds", "all seeds", "delta to the first", "95 %", "rounds",
        "s per model")  # fmt: skip


def rankers(threshold: float, max_features: int | None) -> list[Ranker]:
    """List the compared rankers: trees, then every net with every loss."""
    trees: list[Ranker] = []
    losses = LOSSES | {"bce": BCE(threshold)}
    for row in TREES:
        kind = row.name.partition("_")[0]
        trees.append(row)
        for loss in TREE_LOSSES[kind]:
            params = tuple((dict(row.params) | {"objective": loss}).items())  # type: ignore[attr-defined]
            trees.append(replace(row, name=f"{kind}_{loss.removeprefix('rank:')}", params=params))  # type: ignore[call-arg]
    nets = [
        NetRanker(f"{net}_{loss}", net=NETS[net], loss=losses[loss])
        for net in NETS
        for loss in losses
    ]
    linear = NetRanker("linear_softmax", net=Linear(), loss=losses["softmax"])
    rows = [row for row in trees if not (threshold and row.is_binary)]  # type: ignore[attr-defined]
    return [replace(row, max_features=max_features) for row in (*rows, linear, *nets)]  # type: ignore[call-arg]


class Fitted(NamedTuple):
    """Models of a ranker and a seed, one per fold, with the means of their logs."""

    models: list[RankerModel]
    rounds: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Trains and scores the rankers for one objective."""

    run: Run
    objective: str
    rows: list[Ranker]
    seeds: range
    folder: Path  # of the models

    def task(self, row: Ranker, seed: int, fold: int) -> FitTask:
        """Describe one model."""
        logs = self.folder / self.objective / row.name / f"seed_{seed}" / f"fold_{fold}"
        return FitTask(row, self.objective, fold, logs, self.run.engine, seed)

    def train(self) -> None:
        """Train the models that are not there yet, the folds in parallel."""
        train_set = TrainSet.read(train_files(self.run), (self.objective,))
        train_set = with_all_folds(self.run, train_set)
        folds = range(self.run.recipe.folds)
        in_parallel(self.run.engine, [partial(self.train_fold, train_set, f) for f in folds])

    def train_fold(self, train_set: TrainSet, fold: int) -> None:
        """Train the missing models of a fold; rankers with equal keys share the prepared data."""
        groups: dict[object, list[FitTask]] = {}
        for row in self.rows:
            for seed in self.seeds:
                task = self.task(row, seed, fold)
                if not (task.logs / FOLD_LOG).exists():
                    groups.setdefault(row.group_key(), []).append(task)
        for tasks in groups.values():
            tasks.sort(key=lambda task: task.ranker.fit_order)
            data = tasks[0].ranker.prepare(self.run, tasks[0], train_set)
            for task in tasks:
                task.logs.mkdir(parents=True, exist_ok=True)
                task.ranker.fit(task, data, model_file(task))  # writes fold.json last

    def fitted(self, row: Ranker, seed: int) -> Fitted:
        """Read the models of a ranker and a seed."""
        tasks = [self.task(row, seed, fold) for fold in range(self.run.recipe.folds)]
        logs = [json.loads((task.logs / FOLD_LOG).read_text()) for task in tasks]
        return Fitted(
            [row.load(model_file(task), self.run) for task in tasks],
            float(np.mean([log["best_round"] + 1 for log in logs])),
            float(np.mean([log["seconds"] for log in logs])),
        )

    def evaluate(
        self, fitted: dict[str, list[Fitted]], floors: list[str]
    ) -> dict[str, list[QueryScores]]:
        """Score all queries: by name, the scores of each seed and, last, of all seeds together."""
        parts: dict[str, list[list[QueryScores]]] = {}
        number = self.run.recipe.objective_names.index(self.objective)
        for batch in eval_batches(self.run, 10**9):
            for name, scores in scored(batch, fitted, floors):
                of_batch = [batch.query_scores(self.run.recipe.metric, number, s) for s in scores]
                parts.setdefault(name, []).append(of_batch)
        return {
            name: [QueryScores.concat(seed) for seed in zip(*batches, strict=True)]
            for name, batches in parts.items()
        }


def model_file(task: FitTask) -> Path:
    return task.logs / f"model.{task.ranker.suffix}"


def scored(
    batch: EvalBatch, fitted: dict[str, list[Fitted]], floors: list[str]
) -> Iterator[tuple[str, list[F32]]]:
    """Yield the scores of each ranker: one array per seed, then their mean; floors have one."""
    offsets = batch.candidates.pool.offsets
    for name in floors:
        column = batch.candidates.X[batch.candidates.rows, batch.candidates.names.index(name)]
        yield name, [np.nan_to_num(column)]
    for name, seeds in fitted.items():
        scores = [batch.scores(of_seed.models) for of_seed in seeds]
        both = [blend_kernel.softmax(offsets, s) for s in scores]
        yield name, [*scores, np.mean(both, axis=0, dtype=np.float32)]


def lines(
    scores: dict[str, list[QueryScores]], fitted: dict[str, list[Fitted]], first: str, seed: int
) -> list[list[object]]:
    """Make the rows of the table."""
    table: list[list[object]] = []
    base = np.mean([s.value for s in scores[first][:-1]], axis=0)
    for name, by_seed in scores.items():
        seeds = by_seed[:-1] or by_seed
        mean = replace(seeds[0], value=np.mean([s.value for s in seeds], axis=0))
        delta = paired_difference(mean, base)
        low, high = bootstrap([delta], [1.0], seed)
        cost = fitted.get(name, [])
        table.append([
            name, f"{mean.score():.4f}",
            f"{np.std([s.score() for s in seeds]):.4f}" if len(seeds) > 1 else "",
            f"{by_seed[-1].score():.4f}" if cost else "",
            f"{delta.score():+.4f}", f"[{low[-1]:+.4f}, {high[-1]:+.4f}]",
            f"{np.mean([f.rounds for f in cost]):.0f}" if cost else "",
            f"{np.mean([f.seconds for f in cost]):.1f}" if cost else "",
        ])  # fmt: skip
    return table


def main(argv: list[str]) -> int:
    """Train, score, print, append."""
    parser = argparse.ArgumentParser(prog="bench.losses", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--floors", nargs="*", default=[], help="features that rank alone")
    parser.add_argument("--threshold", type=float, default=0.0, help="relevant above it, for BCE")
    parser.add_argument("--max-features", type=int, help="the best by gain in the train rows (all)")
    parser.add_argument("--only", nargs="*", default=[], help="parts of the rows' names (all)")
    args, flags = parser.parse_known_args(argv)
    run = parse(str(__doc__), Path("6_xgb.py"), [*flags, "--engine", "cpu"])
    objective, start = require_trainable(run)[-1], time.perf_counter()
    rows = [row for row in rankers(args.threshold, args.max_features)
            if not args.only or any(o in row.name for o in args.only)]  # fmt: skip
    folder = run.output / "bench" / f"losses-{args.threshold:g}-{args.max_features or 'all'}"
    comparison = Comparison(run, objective, rows, range(args.seeds), folder)
    comparison.train()
    fitted = {row.name: [comparison.fitted(row, seed) for seed in comparison.seeds] for row in rows}
    scores = comparison.evaluate(fitted, args.floors)
    first = rows[0].name
    text = (f"{scores[first][0].session.size} queries, {run.recipe.metric} of {objective}, "
            f"{time.perf_counter() - start:.0f} s, peak {peak_gib():.1f} GiB")  # fmt: skip
    title = measure.title(measure.origin(argv, "bench.losses"), text)
    measure.append_table(title, measure.table(HEAD, lines(scores, fitted, first, run.recipe.seed)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
