"""Compare what a pre-ranker can learn from: what came true, or the order of the ranker.

    python -m bench.prerankers --dataset otto --output output/taobao [--keep 60] [--queries 2000]

Needs steps 1 to 6 without a pre-ranker. All students read the features of the dataset's row
PRERANKER. Teacher and students score queries of `valid` out of fold. The teacher's score is the log
of the expected gain, sum of weight x probability over objectives, by the first ranker that learns
one objective. bench/students.py has the recipes of learning.

Columns: recall of the positives among the kept candidates, by objective; share of the teacher's
first 10 that are kept; NDCG@20 and Kendall's tau to the teacher over the whole pool; score of the
teacher's lists of the kept candidates, minus that of the whole pool, with a 95 % interval paired by
query. Each row is the mean over --seeds of the students; the interval is that of the first one.
Prints a table and appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from bench import measure
from bench.students import (
    Distillation,
    Labels,
    Lists,
    PairRecipe,
    head_tail,
    net_scores,
    positive_not_shown,
    segment_pairs,
    tree_scores,
)
from src.candidates.pool import Pool
from src.candidates.pool_kernel import ABSENT
from src.cli import parse
from src.core.arrays import F32, I64, positions
from src.core.run import Run
from src.features.table import FeatureTable
from src.metrics.bootstrap import total_score
from src.metrics.paired import paired_delta
from src.metrics.query_scores import QueryScores
from src.prerankers import agreement
from src.prerankers.base import PreRanker, stage_of
from src.prerankers.comparison import Comparison, first_candidates
from src.rankers.base import RankerModel
from src.rankers.batches import CandidateBatch
from src.rankers.oof import EvalBatch, eval_batches
from src.rankers.train_table import trainable_objectives
from src.rankers.xgb import XGBoostRanker

RANDOM = 20
"""Random items of the catalogue that join each list."""
HEAD = ("learns from", "model", "recall of the kept", "Hit@10", "NDCG@20", "tau", "score", "delta",
        "95 %")  # fmt: skip
Student = Callable[[Lists, F32, int], F32]
STUDENTS: dict[tuple[str, str], Student] = {
    ("labels", "trees"): partial(tree_scores, Labels()),
    ("labels and random items", "trees"): partial(tree_scores, Labels(random=True)),
    ("KL of whole lists", "trees"): partial(tree_scores, Distillation(None)),
    ("KL of whole lists and random items", "trees"): partial(tree_scores, Distillation(None, True)),
    ("labels", "linear"): partial(net_scores, Labels(), hidden=0),
    ("labels", "net"): partial(net_scores, Labels()),
    ("KL of whole lists", "net"): partial(net_scores, Distillation(None)),
    ("KL of uniform segments", "net"): partial(net_scores, Distillation(False)),
    ("KL of geometric segments", "net"): partial(net_scores, Distillation(True)),
    ("KL of geometric segments and random items", "net"): partial(
        net_scores, Distillation(True, True)
    ),
    ("pairs of head and tail", "net"): partial(net_scores, PairRecipe(head_tail)),
    ("pairs of segments", "net"): partial(net_scores, PairRecipe(segment_pairs)),
    ("pairs of a positive and one not shown", "net"): partial(
        net_scores, PairRecipe(positive_not_shown)
    ),
}


@dataclass(frozen=True)
class Query:
    """A batch of queries: the pools, the teacher's scores by objective, cheap features."""

    batch: EvalBatch  # without features
    by_objective: dict[str, F32]
    lists: Lists


def with_random_items(pool: Pool, n_items: int, seed: int) -> Pool:
    """Append RANDOM items of the catalogue to each pool that is not empty; some may be in it."""
    rng, sizes = np.random.default_rng(seed), np.diff(pool.offsets)
    more = np.where(sizes > 0, RANDOM, 0)
    at = np.repeat(pool.offsets[1:], more)
    item = rng.integers(n_items, size=at.size).astype(np.int32)
    return Pool(
        pool.first, np.append(0, np.cumsum(sizes + more)), np.insert(pool.item, at, item),
        np.insert(pool.rrf_score, at, 0), np.insert(pool.ranks, at, ABSENT, axis=0),
        np.insert(pool.scores, at, 0, axis=0),
    )  # fmt: skip


class Data:
    """All queries with a positive, or some, with what students learn from."""

    def __init__(self, run: Run, row: PreRanker, queries: int) -> None:
        self.run, self.recipe = run, run.recipe
        stage, objectives = stage_of(run, row), trainable_objectives(run)
        teacher = XGBoostRanker.first_of_one_objective(run.recipe)
        self.models: dict[str, list[RankerModel]] = {
            name: [teacher.load(teacher.model_file(run, name, fold), run)
                   for fold in range(run.recipe.folds)]
            for name in objectives
        }  # fmt: skip
        self.cheap = FeatureTable(stage.recipe)
        self.weights = [o.weight for o in run.recipe.objectives if o.name in objectives]
        self.numbers = [run.recipe.objective_names.index(name) for name in objectives]
        self.parts = [self.query(batch) for batch in eval_batches(run, queries, ["valid"])]
        self.fold = np.concatenate([p.batch.fold[p.batch.query] for p in self.parts])
        self.lists = joined([p.lists for p in self.parts])

    @cached_property
    def whole(self) -> tuple[list[float], list[QueryScores]]:
        """The recall, and the scores of the teacher's lists, of the whole pools."""
        return self.cut(self.lists.teacher, self.recipe.pool_size)

    def query(self, batch: EvalBatch) -> Query:
        """Compute cheap features and the teacher's scores of a batch, with random items."""
        data, pool = batch.candidates.data, batch.candidates.pool
        wide = with_random_items(pool, data.n_items, self.recipe.seed + pool.first)
        in_pool = positions(wide.offsets) < np.repeat(np.diff(pool.offsets), np.diff(wide.offsets))
        random = wide.keep_rows(~in_pool)
        full = CandidateBatch.compute(FeatureTable(self.recipe), data, random)
        gain, scores = np.zeros(wide.item.size), {}
        for name, weight in zip(self.models, self.weights, strict=True):
            score = np.zeros(wide.item.size, np.float32)
            score[in_pool] = scores[name] = batch.scores(self.models[name])
            score[~in_pool] = replace(batch, candidates=full).scores(self.models[name])
            gain += weight / (1 + np.exp(-score.astype(np.float64)))
        label = np.zeros(wide.item.size, np.float32)
        label[in_pool] = batch.label[:, self.numbers] @ np.array(self.weights, np.float32)
        X = self.cheap.compute(data, wide)
        sizes = np.diff(wide.offsets)[batch.query]  # other queries are empty
        offsets = np.append(0, np.cumsum(sizes))
        lists = Lists(X, offsets, np.log(gain).astype(np.float32), label, in_pool)
        light = replace(batch, candidates=replace(batch.candidates, X=X[:0]))
        return Query(light, scores, lists)

    def out_of_fold(self, student: Student, seed: int) -> F32:
        """Train a student per fold; score all rows of all lists, out of fold."""
        score = np.zeros(len(self.lists.X), np.float32)
        of_row = np.repeat(self.fold, np.diff(self.lists.offsets))
        for f in range(self.recipe.folds):
            train = self.lists.select(np.flatnonzero(self.fold != f))
            score[of_row == f] = student(train, self.lists.X[of_row == f], seed)
        return score

    def pool_order(self) -> F32:
        return -positions(self.lists.offsets).astype(np.float32)

    def random_order(self, seed: int) -> F32:
        return np.random.default_rng(seed).random(len(self.lists.X)).astype(np.float32)

    def agreement(self, score: F32, keep: int) -> list[float]:
        """Compare with the teacher over the pools: mean Hit@(10 -> keep), NDCG@20, tau."""
        values = []
        for query in range(self.lists.n):
            rows = self.lists.rows(query)
            if rows.size > 1:
                pair = self.lists.teacher[rows], score[rows]
                first, second = (agreement.ranks(x, rows) for x in pair)
                hit, ndcg = agreement.hit_rate(first, second, 10, keep), agreement.ndcg
                values.append([hit, ndcg(first, second, 20), agreement.kendall_tau(*pair)])
        means: list[float] = np.nanmean(values, axis=0).tolist()
        return means

    def cut(self, score: F32, keep: int) -> tuple[list[float], list[QueryScores]]:
        """Keep the first candidates: recall of positives, and scores of the teacher's lists."""
        comparison, hits, all_positives = Comparison(self.recipe, keep), [], []
        parts = list[list[QueryScores]]()
        at = 0
        for part in self.parts:
            pool, n = part.batch.candidates.pool, part.lists.in_pool.size
            order = score[at : at + n][part.lists.in_pool]
            at += n
            label = part.batch.label[:, self.numbers] > 0
            kept = first_candidates(pool, order, keep)
            hits.append(label[kept].sum(0))
            all_positives.append(label.sum(0))
            parts.append([
                comparison.lists_of_first(part.batch, o, part.by_objective[name], order, keep)
                for name, o in zip(self.models, self.numbers, strict=True)
            ])  # fmt: skip
        recall = np.sum(hits, axis=0) / np.maximum(np.sum(all_positives, axis=0), 1)
        return recall.tolist(), [QueryScores.concat(p) for p in zip(*parts, strict=True)]


def joined(lists: list[Lists]) -> Lists:
    """Concatenate lists of batches."""
    sizes = np.concatenate([np.diff(part.offsets) for part in lists])
    columns = ("teacher", "gain", "in_pool")
    X = np.concatenate([part.X for part in lists])
    rest = [np.concatenate([getattr(part, name) for part in lists]) for name in columns]
    offsets: I64 = np.append(0, np.cumsum(sizes))
    return Lists(X, offsets, *rest)


def line(data: Data, keep: int, names: tuple[str, str], scores: list[F32]) -> list[str]:
    """Make a row of the table from the scores of all seeds."""
    cuts = [data.cut(score, keep) for score in scores]
    _, whole = data.whole
    totals = [total_score(of_query, data.weights) for _, of_query in cuts]
    _, low, high = paired_delta(cuts[0][1], whole, data.weights, data.recipe.seed)
    close = np.mean([data.agreement(score, keep) for score in scores], axis=0)
    recall = np.mean([recall for recall, _ in cuts], axis=0)
    change = np.mean(totals) - total_score(whole, data.weights)
    return [*names, " ".join(f"{r:.3f}" for r in recall), *(f"{c:.3f}" for c in close),
            f"{np.mean(totals):.4f}", f"{change:+.4f}",
            f"[{low:.4f}, {high:.4f}]"]  # fmt: skip


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.prerankers", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--keep", type=int, default=60)
    parser.add_argument("--queries", type=int, default=2000, help="of valid, at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", args.output, "--engine", "cpu"]
    run = parse(str(__doc__), Path("6_xgb.py"), flags)
    run = replace(run, recipe=replace(run.recipe, preranker=None))
    row = importlib.import_module(f"src.datasets.{args.dataset}.recipe").PRERANKER
    data = Data(run, row, args.queries)
    lines = [
        line(data, args.keep, ("nothing: random order", ""), [data.random_order(0)]),
        line(data, args.keep, ("nothing: order of the pool", ""), [data.pool_order()]),
    ]
    for names, student in STUDENTS.items():
        scores = [data.out_of_fold(student, seed) for seed in args.seeds]
        lines.append(line(data, args.keep, names, scores))
        print(lines[-1], flush=True)
    lines.append(line(data, args.keep, ("the teacher itself", ""), [data.lists.teacher]))
    facts = f"{data.lists.n} queries, {len(data.cheap.names)} features, keep {args.keep}"
    measure.append_table(
        measure.title(measure.origin(argv, "bench.prerankers"), facts), measure.table(HEAD, lines)
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
