"""What each table of vectors finds by itself, and what it adds to the pool of all other rules.

    python -m bench.vectors --dataset otto --output output/otto
    python -m bench.vectors --dataset otto --output output/otto --rows net --also gru --epochs 3

Needs steps 1 to 3; on every window that has labels (or --splits), trains the rows of step 4 that
are not there, and with --also those that change one of the recipe's. On their queries: recall@20,
50, 100, 200 (chances capped at the cut) of the nearest neighbours of a session's last two items, in
the embedding row's table; of the net's own lists, of each objective's vector; and of popularity.
Then what is above popularity at 20; and the recall of a pool of the recipe's size, fused from the
rules of step 3 and this one list of 50, less that without it: both paired by session. 95 %
intervals are bootstraps over sessions. Appends to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench import measure
from src.candidates import pool, rules_kernel
from src.candidates import recall_kernel as coverage_kernel
from src.candidates.lists import read_lists
from src.candidates.rows import (
    ItemToItemRetriever,
    PopularRetriever,
    Retriever,
    Seeds,
    TwoTowerRetriever,
)
from src.candidates.rules import World, lists_of
from src.cli import parse
from src.core.arrays import I32, I64, arrays
from src.core.run import Run
from src.data.schemas import LABELS, LISTS, TopLists
from src.data.shards import load_split
from src.data.shards import parts as blocks
from src.embeddings.rows import (
    Embedding,
    FactorizationEmbedding,
    PretrainedEmbedding,
    TwoTowerEmbedding,
)
from src.embeddings.train import train
from src.metrics.scores import QueryScores, bootstrap, score_ranks

POPULAR = "popular"
CUTS = (20, 50, 100, 200)
IN_POOL = 50  # of a list that is added to the pool
LATEST = Seeds(last=2, recency=0.5)
HEAD = ("table", "objective", *(f"@{cut}" for cut in CUTS), "95 % of @20", "over popular, 95 %",
        "pool", "95 %")  # fmt: skip
ALSO: dict[str, tuple[type[Embedding], dict[str, Any]]] = {
    "gru": (TwoTowerEmbedding, {"encoder": "gru"}),
    "lags": (TwoTowerEmbedding, {"encoder": "lags"}),
    "hardest": (TwoTowerEmbedding, {"negatives": 16384, "hardest": 1000}),
    "steps1": (FactorizationEmbedding, {"steps": 1, "epochs": 20}),
    "buys": (FactorizationEmbedding, {"steps": 9, "types": (1, 2), "epochs": 20}),
}
"""What a row of the recipe is changed to."""


def trained(
    run: Run, splits: list[str], wanted: list[str], also: list[str], epochs: int | None,
    positions: int | None,
) -> list[Embedding]:  # fmt: skip
    """The wanted rows (none: all) and more, all of which are there for the splits then."""
    found = [row for row in run.recipe.embeddings if not wanted or row.name in wanted]
    for name in also:
        kind, change = ALSO[name]
        like = next(row for row in found if isinstance(row, kind))
        found.append(replace(like, name=f"{like.name}_{name}", **change))
    if epochs is not None:
        found = [row if isinstance(row, PretrainedEmbedding) else replace(row, epochs=epochs)
                 for row in found]  # fmt: skip
    if positions is not None:
        found = [replace(row, positions=positions) if isinstance(row, TwoTowerEmbedding) else row
                 for row in found]  # fmt: skip
    for split, row in product(splits, found):
        with run.step(f"{split} {row.name}") as facts:
            facts |= train(run, split, row)
    return found


def candidates_of(embeddings: list[Embedding], objective: int) -> list[tuple[str, Retriever]]:
    """Names, and the rule that looks into each table for this objective."""
    found: list[tuple[str, Retriever]] = [(POPULAR, PopularRetriever(POPULAR, top=max(CUTS)))]
    for row in embeddings:
        near = ItemToItemRetriever(row.name, row.name, LATEST, neighbours=row.top_n, top=max(CUTS))
        found.append((f"{row.name}, neighbours", near))
        if isinstance(row, TwoTowerEmbedding):
            own = TwoTowerRetriever(row.name, row.name, objective, row.among, max(CUTS))
            found.append((f"{row.name}, two towers", own))
    return found


def tallies(session: I32, place: I32) -> list[QueryScores]:
    """Hits at every cut."""
    return [score_ranks(session, place, "recall", cut) for cut in CUTS]


def place_in(lists: TopLists, query: I32, truth: I32) -> I32:
    """Place of each truth in the list of its query, or -1."""
    item = lists[0]
    starts = np.arange(item.shape[0] + 1, dtype=np.int64) * item.shape[1]
    return coverage_kernel.places(query, truth, starts, item.ravel())


def pooled(world: World, lists: pl.DataFrame, size: int) -> tuple[I64, I32]:
    """The pool of all queries from LISTS rows."""
    return pool.candidates(lists, world.first_query, world.n_sessions, size)[:2]


def with_list(world: World, lists: pl.DataFrame, more: TopLists, number: int) -> pl.DataFrame:
    """LISTS rows with one more rule's."""
    item, score = (np.ascontiguousarray(a[:, :IN_POOL]) for a in more)
    rule = np.full(item.shape[1], number, np.uint8)
    query, *columns = rules_kernel.flat(item, score, rule, np.arange(item.shape[1], dtype=np.uint8))
    mine = pl.DataFrame([query + np.int32(world.first_query), *columns], schema=LISTS)
    return pl.concat([lists, mine]).sort("session", "rule", "rank")


def less(one: QueryScores, two: QueryScores) -> QueryScores:
    """Hits of the one less those of the other, paired."""
    return QueryScores(one.session, one.hits - two.hits, one.chances)


def won(
    run: Run, split: str, embeddings: list[Embedding]
) -> Iterator[tuple[str, str, list[QueryScores]]]:
    """Objective, list, and what it finds in a window: at every cut; what it adds to the pool."""
    world, recipe = load_split(run, split), run.recipe
    raw = pl.read_parquet(run.output / split / "sessions.parquet")["session"].to_numpy()
    labels = pl.read_parquet(run.output / split / "labels.parquet")
    lists = pl.concat(read_lists(run, world, ["lists"], part) for part in blocks(world))
    base = pooled(world, lists, recipe.pool_size)
    for o, objective in enumerate(recipe.objectives):
        session, _, truth = arrays(labels.filter(pl.col("objective") == o), *LABELS.names())
        query = session - np.int32(world.first_query)
        without = coverage_kernel.places(query, truth, *base)
        for name, rule in candidates_of(embeddings, o) if session.size else []:
            more = lists_of(world, rule, world.first_query, world.n_sessions)
            wider = pooled(world, with_list(world, lists, more, 255), recipe.pool_size)
            places = (coverage_kernel.places(query, truth, *wider), without)
            anywhere = (score_ranks(session, np.minimum(p, 0), "recall", recipe.k) for p in places)
            alone = tallies(session, place_in(more, query, truth))
            found = [*alone, less(*anywhere)]
            yield objective.name, name, [replace(t, session=raw[t.session]) for t in found]


def rows(run: Run, splits: list[str], embeddings: list[Embedding]) -> list[list[str]]:
    """A row of the table for every objective and list."""
    pieces: dict[tuple[str, str], list[list[QueryScores]]] = {}
    for split in splits:
        for objective, name, found in won(run, split, embeddings):
            pieces.setdefault((objective, name), []).append(found)
    every = {key: [QueryScores.joined(of) for of in zip(*found, strict=True)]
             for key, found in pieces.items()}  # fmt: skip
    lines = []
    for (objective, name), (*alone, added) in every.items():
        popular = every[objective, POPULAR][0]
        lines.append([
            name, objective, *(f"{t.score():.4f}" for t in alone),
            interval(alone[0], run.recipe.seed),
            interval(less(alone[0], popular), run.recipe.seed), f"{added.score():+.4f}",
            interval(added, run.recipe.seed),
        ])  # fmt: skip
    return lines


def interval(tally: QueryScores, seed: int) -> str:
    """95 % of the bootstrap."""
    low, high = bootstrap([tally], [1.0], seed)
    return f"[{low[0]:.4f}, {high[0]:.4f}]"


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.vectors", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--splits", nargs="+", help="windows; default: all that have labels")
    parser.add_argument("--rows", nargs="+", default=[], help="of the recipe; default: all")
    parser.add_argument("--also", nargs="+", default=[], choices=sorted(ALSO))
    parser.add_argument("--epochs", type=int, help="of every row, at most")
    parser.add_argument("--positions", type=int, help="of an epoch of the nets, at most")
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", args.output, "--engine", "cpu"]
    run = parse(str(__doc__), Path("4_embeddings.py"), flags)
    splits = args.splits or run.learning_splits()
    embeddings = trained(run, splits, args.rows, args.also, args.epochs, args.positions)
    told = f"{', '.join(splits)}; pools of {run.recipe.pool_size}"
    measure.append_table(
        measure.title(measure.origin(argv, "bench.vectors"), told),
        measure.table(HEAD, rows(run, splits, embeddings)),
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
