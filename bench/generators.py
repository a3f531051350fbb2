"""Compare generators of items: ids of several kinds, or one code an item.

    python -m bench.generators --dataset sequences --output output/sequences --texts title
    python -m bench.generators --dataset demo --output output/demo --epochs 4 --also random

Needs steps 1 to 4. Trains a generator with ids from the vectors of Word2Vec, and of texts where
--texts names their column, on the events of `valid`; --also adds variants of it. Scores their lists
of TOP items for queries of `valid` and the first objective; --queries takes so many of them, about,
in blocks that are spread evenly. The table has hit@5, NDCG@5, hit@10 and NDCG@10 with a 95 %
interval, the paired difference of NDCG@10 to the first row, the share of right items that are in
the list and in no list of the recipe, the gain in recall of a pool of the recipe's size by the
list, paired, the CPU milliseconds of a query, and the CPU seconds of the training, neighbours
included, where it was not up to date. --test adds the lists of `test`, where step 1 has hidden
items: look at them once. Prints the table and appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from bench import measure
from bench.vectors import interval, on_top, ranks_in_pools, timed_training, with_list
from src.candidates.generated import GeneratedRetriever
from src.candidates.lists import (
    CandidateLists,
    read_candidates,
    shard_candidates,
    to_frame,
)
from src.candidates.unseen import excludes_seen, unseen_lists
from src.cli import parse
from src.core.arrays import arrays, offsets_of_sizes
from src.core.run import Run
from src.data import paths
from src.data.labels import scan_positives
from src.data.recipe import Recipe
from src.data.shards import shards
from src.data.split_data import SplitData
from src.embeddings.base import Embedding
from src.embeddings.generator import GeneratorEmbedding
from src.embeddings.text import TextEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.metrics.bootstrap import paired_difference
from src.metrics.named import metric_named
from src.metrics.query_scores import QueryScores, score_lists, score_ranks
from src.metrics.recall import Recall
from src.texts.tfidf import TfidfEncoder

METRICS = ("hit@5", "ndcg@5", "hit@10", "ndcg@10")
HEAD = ("row", *METRICS, "95 %", "to the first", "95 %", "alone", "95 %", "pool", "95 %", "ms",
        "train s")  # fmt: skip
BLOCK, TOP = 256, 50
ALSO: dict[str, dict[str, Any]] = {
    "nested": {"nested": True, "sizes": (64, 16, 16)},
    "balanced": {"balance": 2.0},
    "random": {"vectors": ()},
    "begun at random": {"begin_at_centres": False},
    "one code an item": {"sizes": ()},
    "RQ-VAE": {"autoencoder": 100},
    "own vectors": {"own_vectors": True},
}
"""Changes of the first row."""


class Lists(NamedTuple):
    """Scores of the lists of one generator, and CPU milliseconds a query."""

    scores: list[QueryScores]  # by METRICS
    alone: QueryScores  # right items that are in no other list
    in_pool: QueryScores  # of the pool with the list, minus those without it
    milliseconds: float


def rows_of(
    recipe: Recipe, texts: str | None, also: list[str], changes: dict[str, Any]
) -> list[Embedding]:
    """Make the rows: vectors (Word2Vec as the recipe has it), the generator, and its variants."""
    own: list[Embedding] = [row for row in recipe.embeddings if isinstance(row, Word2VecEmbedding)]
    vectors = [*own, Word2VecEmbedding("w2v")][:1]
    if texts:
        vectors.append(TextEmbedding("texts", (texts,), TfidfEncoder()))
    first = GeneratorEmbedding("generator", tuple(row.name for row in vectors), **changes)
    return [*vectors, first, *(replace(first, name=f"generator_{name.partition(' ')[0]}",
                                       **ALSO[name]) for name in also)]  # fmt: skip


def sampled_blocks(data: SplitData, queries: int | None) -> Iterator[tuple[int, int]]:
    """Yield ranges of sessions, evenly spread, that have about so many queries; None: all."""
    first = np.arange(data.first_query, data.n_sessions, BLOCK)
    wanted = first.size if queries is None else max(1, min(first.size, queries // BLOCK))
    for start in first[np.linspace(0, first.size - 1, wanted).astype(int)].tolist():
        yield start, min(start + BLOCK, data.n_sessions)


def other_lists(run: Run, split: str) -> CandidateLists:
    """Read the lists of all retrievers of the recipe, of all queries."""
    known = run.recipe.retrievers
    parts = [read_candidates(shard_candidates(run, split, known, of), of)
             for of in shards(run, split)]  # fmt: skip
    offsets = offsets_of_sizes(np.concatenate([np.diff(part.offsets) for part in parts]))
    return CandidateLists(
        offsets, np.concatenate([part.retriever for part in parts]),
        np.concatenate([part.rank for part in parts]), np.concatenate([p.item for p in parts]),
        np.concatenate([part.score for part in parts]),
    )  # fmt: skip


def part_of(lists: CandidateLists, first: int, end: int) -> CandidateLists:
    """Take the lists of queries first : end."""
    rows = slice(lists.offsets[first], lists.offsets[end])
    offsets = lists.offsets[first : end + 1] - lists.offsets[first]
    return CandidateLists(
        offsets, lists.retriever[rows], lists.rank[rows], lists.item[rows], lists.score[rows]
    )


def measured(run: Run, split: str, name: str, others: CandidateLists, queries: int | None) -> Lists:
    """Score the lists of a generator."""
    data, row = SplitData(run, split), GeneratedRetriever("generated", name, TOP)
    labels = scan_positives(paths.labels(run, split)).filter(objective=0).collect()
    frames, spent, n = [], 0.0, 0
    alone: list[QueryScores] = []
    in_pool: list[QueryScores] = []
    for first, end in sampled_blocks(data, queries):
        begin = time.process_time()
        if excludes_seen(run.recipe, row):
            lists = unseen_lists(row, data, first, end)
        else:
            lists = row.lists(data, first, end)
        spent, n = spent + time.process_time() - begin, n + end - first
        frames.append(to_frame(lists, first))
        right = arrays(
            labels.filter(pl.col("session").is_between(first, end - 1)),
            "session", "item", "grade",
        )  # fmt: skip
        known = part_of(others, first - data.first_query, end - data.first_query)
        both = with_list(known, *lists)
        longest = int(np.diff(both.offsets).max(initial=0))
        alone.append(gain(known, both, first, right, longest, longest))
        in_pool.append(gain(known, both, first, right, run.recipe.pool_size, run.recipe.k))
    table = pl.concat(frames)
    asked = np.concatenate([of.session for of in alone])
    truth = labels.filter(pl.col("session").is_in(asked)).select("session", "item", "grade")
    scores = [score_lists(table.lazy(), truth.lazy(), metric_named(metric)) for metric in METRICS]
    return Lists(scores, QueryScores.concat(alone), QueryScores.concat(in_pool), 1000 * spent / n)


def gain(
    known: CandidateLists,
    both: CandidateLists,
    first: int,
    right: list[np.ndarray],
    size: int,
    k: int,
) -> QueryScores:
    """Compute the recall of pools of `size` with one more list, minus that without it.

    first: session of the first query. right: session, item and grade of positives.
    """
    session, positive, grade = right
    inside, before = (
        score_ranks(session, on_top(session, rank), grade, Recall(k))
        for rank in (
            ranks_in_pools([lists], session - np.int32(first), positive, size)
            for lists in (both, known)
        )
    )
    return paired_difference(inside, before.value)


def line(name: str, lists: Lists, first: Lists, seed: int) -> list[str]:
    """Format a row of the table."""
    ndcg = lists.scores[-1]
    difference = paired_difference(ndcg, first.scores[-1].value)
    return [
        name, *(f"{of.score():.4f}" for of in lists.scores), interval(ndcg, seed),
        *(cell for of in (difference, lists.alone, lists.in_pool)
          for cell in (f"{of.score():+.4f}", interval(of, seed))),
        f"{lists.milliseconds:.1f}",
    ]  # fmt: skip


def main(argv: list[str]) -> int:
    """Train, measure, print and append."""
    parser = argparse.ArgumentParser(prog="bench.generators", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--texts", help="column of items.parquet")
    parser.add_argument("--also", nargs="+", default=[], choices=list(ALSO))
    parser.add_argument("--queries", type=int, help="default: all")
    parser.add_argument("--test", action="store_true", help="score hidden items of test too")
    for flag in ("epochs", "dim", "batch-size", "max-windows"):
        parser.add_argument(f"--{flag}", type=int, help="of the generators")
    for flag in ("learning-rate", "dropout", "hidden"):
        parser.add_argument(f"--{flag}", type=float)
    parser.add_argument("--own-vectors", action="store_true", default=None)
    args = vars(parser.parse_args(argv))
    flags = ["--dataset", args["dataset"], "--output", args["output"], "--engine", "cpu"]
    run = parse(str(__doc__), Path("4_embeddings.py"), flags)
    names = ("epochs", "dim", "batch_size", "max_windows", "learning_rate", "dropout", "hidden",
             "own_vectors")  # fmt: skip
    changes = {name: args[name] for name in names if args[name] is not None}
    rows = rows_of(run.recipe, args["texts"], args["also"], changes)
    splits = ("valid", "test") if args["test"] else ("valid",)
    others = {split: other_lists(run, split) for split in splits}
    record = measure.origin(argv, "bench.generators")
    for split in splits:
        found, seconds = [], dict[str, str]()
        for row in rows:
            run, seconds[row.name] = timed_training(run, split, row)
        for row in rows:
            if row.makes_generator:
                with run.step(f"{split} lists of {row.name}"):
                    of = measured(run, split, row.name, others[split], args["queries"])
                found.append((row.name, of))
        lines = [
            [*line(name, lists, found[0][1], run.recipe.seed), seconds[name]]
            for name, lists in found
        ]
        queries = found[0][1].in_pool.session.size
        facts = f"{split}; {queries} queries; pools of {run.recipe.pool_size}"
        measure.append_table(measure.title(record, facts), measure.table(HEAD, lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
