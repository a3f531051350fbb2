"""Measure what a cross-encoder adds to the ranker whose first candidates it ranks anew.

    python -m bench.cross_encoder --dataset sequences --output output/sequences --texts title

Needs steps 1 to 6. The base is the last ranker of the recipe. --texts names the column of
items.parquet whose vectors are read (TF-IDF). The rows are a cascade with a perceptron, which reads
the features and the base alone, and one with a cross-encoder, both with a softmax over the first
--first candidates; also the base blended with each, by equal reciprocal ranks. Where sessions have
texts, such as titles of playlists, both cascades read their vectors too. Scores are out of fold, of
the queries of `valid` and the first objective. The table has the recipe's metric with a 95 %
interval, its paired difference to the base, and CPU seconds of the training, tables included.
Prints the table and appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl

from bench import measure
from bench.playlists import LETTERS
from bench.vectors import interval, train
from src.blend import blend_kernel
from src.cli import parse
from src.core.arrays import F32
from src.core.run import Run
from src.data import paths
from src.data.splits import labelled_splits
from src.embeddings.text import TextEmbedding
from src.features.session_text import SessionTextFeature
from src.metrics.bootstrap import paired_difference
from src.metrics.query_scores import QueryScores
from src.rankers.base import RankerModel
from src.rankers.cascade import CascadeRanker
from src.rankers.losses.softmax import Softmax
from src.rankers.nets.cross_encoder import CrossEncoder
from src.rankers.nets.mlp import MLP
from src.rankers.oof import EvalBatch, eval_batches, require_trainable
from src.rankers.train import targets, training_groups
from src.texts.tfidf import TfidfEncoder

FEW = 1_000  # items that get neighbours, which no row reads
NAMES = ("perceptron", "cross-encoder")
HEAD = ("row", "score", "95 %", "to the base", "95 %", "CPU s")


def with_cascades(
    run: Run, column: str, first: int, names: list[str], settings: dict[str, float]
) -> Run:
    """Return a run with the base, and those of the cascades that have one of the names."""
    texts = TextEmbedding("texts", (column,), TfidfEncoder(), max_items=FEW)
    base = run.recipe.rankers[-1]
    run = train(run, labelled_splits(run), [texts])
    if "text" in pl.read_parquet_schema(paths.sessions(run, "valid")):
        features = (*run.recipe.features, SessionTextFeature("query_text", LETTERS, columns=64))
        run = replace(run, recipe=replace(run.recipe, features=features))
    perceptron = CascadeRanker(
        NAMES[0], MLP(dropout=0.1), Softmax(), run.recipe.metric, base=base.name, first=first,
        **settings,  # type: ignore[arg-type]
    )  # fmt: skip
    cross = replace(perceptron, name=NAMES[1], net=CrossEncoder((texts.name,)))
    rows = [row for row in (perceptron, cross) if row.name in names]
    return replace(run, recipe=replace(run.recipe, rankers=(base, *rows)))


def trained(run: Run, objective: str) -> tuple[dict[str, list[RankerModel]], dict[str, float]]:
    """Return the models of each ranker, and the CPU seconds of what was not up to date."""
    seconds = dict[str, float]()
    for group in training_groups(run, [objective]):
        with run.step(group.name):
            start = time.process_time()
            if any(group.train()):
                seconds[group.targets[0].ranker.name] = time.process_time() - start
    found = {t.ranker.name: t.load(run, objective) for t in targets(run.recipe, [objective])}
    return found, seconds


def ways(batch: EvalBatch, models: dict[str, list[RankerModel]]) -> dict[str, F32]:
    """Score the candidates of a batch by each ranker, and by the first one with each other."""
    pool = batch.candidates.pool
    scores = {name: batch.scores(of_folds) for name, of_folds in models.items()}
    reciprocal = {
        name: blend_kernel.reciprocal_ranks(pool.offsets, pool.item, score)
        for name, score in scores.items()
    }
    first, *others = scores
    return scores | {f"{first} + {n}": reciprocal[first] + reciprocal[n] for n in others}


def evaluate(
    run: Run, models: dict[str, list[RankerModel]], queries: int
) -> dict[str, QueryScores]:
    """Score all `ways` on queries of `valid`, and the first objective."""
    parts = dict[str, list[QueryScores]]()
    for batch in eval_batches(run, queries, ["valid"]):
        for name, score in ways(batch, models).items():
            found = batch.query_scores(run.recipe.metric, 0, score)
            parts.setdefault(name, []).append(found)
    return {name: QueryScores.concat(of_batches) for name, of_batches in parts.items()}


def main(argv: list[str]) -> int:
    """Measure, print and append."""
    parser = argparse.ArgumentParser(prog="bench.cross_encoder", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--texts", required=True, help="column of items.parquet")
    parser.add_argument("--rows", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--first", type=int, default=50, help="candidates of a query (50)")
    parser.add_argument("--queries", type=int, default=10**9, help="at most (all)")
    parser.add_argument("--epochs", type=int, default=10, help="at most (10)")
    parser.add_argument("--learning-rate", type=float, default=0.001)
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", args.output, "--engine", "cpu"]
    run = parse(str(__doc__), Path("6_xgb.py"), flags)
    objective, settings = require_trainable(run)[0], {
        "epochs": args.epochs, "patience": 3, "learning_rate": args.learning_rate,
    }  # fmt: skip
    run = with_cascades(run, args.texts, args.first, args.rows, settings)
    models, seconds = trained(run, objective)
    by_way, lines = evaluate(run, models, args.queries), []
    first, *_ = by_way.values()
    for name, scores in by_way.items():
        delta, seed = paired_difference(scores, first.value), run.recipe.seed
        lines.append([
            name, f"{scores.score():.4f}", interval(scores, seed), f"{delta.score():+.4f}",
            interval(delta, seed), f"{seconds[name]:.0f}" if name in seconds else "",
        ])  # fmt: skip
    facts = f"valid; {first.session.size} queries, {run.recipe.metric} of {objective}"
    title = measure.title(measure.origin(argv, "bench.cross_encoder"), facts)
    measure.append_table(title, measure.table(HEAD, lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
