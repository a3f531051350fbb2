"""Measure the recall of each embedding alone, and its gain for a pool of the lists of step 3.

    python -m bench.vectors --dataset otto --output output/otto
    python -m bench.vectors --dataset otto --output output/otto --rows net --also gru --epochs 3

Needs steps 1 to 3. Trains the embeddings of the recipe that are not there, on every split with
labels or on --splits; --also adds variants of rows. The table has recall@20, 50, 100 and 200, with
positives capped at the cut, of three kinds of lists: neighbours of the last two items of a session
by each embedding, the items nearest to a query vector of a two-tower model, and the most popular
items. Further columns: the difference of recall@20 to that of popularity, and the gain in recall of
a pool of the recipe's size, merged from the lists of step 3, by 50 items of the list. Differences
are paired by session, with 95 % intervals by bootstrap over sessions. Prints the table and appends
it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from bench import measure
from src.candidates.base import Retriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.lists import (
    CandidateLists,
    read_candidates,
    retrievers_of_step,
    shard_candidates,
)
from src.candidates.pool import top_candidates
from src.candidates.popular import PopularRetriever
from src.candidates.recall_kernel import ranks_in_pool
from src.candidates.seeds import Seeds
from src.candidates.two_tower import TwoTowerRetriever
from src.cli import parse
from src.core.arrays import F32, I32, arrays, offsets_of_sizes
from src.core.run import Run
from src.data import paths
from src.data.labels import scan_positives
from src.data.schemas import TopLists
from src.data.shards import shards
from src.data.split_data import SplitData
from src.data.splits import labelled_splits
from src.embeddings.base import Embedding
from src.embeddings.factorization import FactorizationEmbedding
from src.embeddings.two_tower import TwoTowerEmbedding
from src.metrics.bootstrap import bootstrap, paired_difference
from src.metrics.query_scores import QueryScores, score_ranks
from src.metrics.recall import Recall

POPULAR = "popular"
CUTS = (20, 50, 100, 200)
IN_POOL = 50  # of a list that is added to the pool
LATEST = Seeds(max_items=2, decay=0.5)
HEAD = ("table", "objective", *(f"@{cut}" for cut in CUTS), "95 % of @20", "over popular, 95 %",
        "pool", "95 %")  # fmt: skip
ALSO: dict[str, tuple[type[Embedding], dict[str, Any]]] = {
    "gru": (TwoTowerEmbedding, {"encoder": "gru"}),
    "lags": (TwoTowerEmbedding, {"encoder": "lags"}),
    "transformer": (TwoTowerEmbedding, {"encoder": "transformer"}),
    "short": (TwoTowerEmbedding, {"min_positions": 1}),
    "steps1": (FactorizationEmbedding, {"max_steps": 1, "epochs": 20}),
    "buys": (FactorizationEmbedding, {"max_steps": 9, "types": (1, 2), "epochs": 20}),
}
"""Changes of the first row of a kind, by the name that is appended to its own."""


class ListScores(NamedTuple):
    """Scores of one list for one objective in a split."""

    objective: str
    table: str
    at_cuts: list[QueryScores]
    in_pool: QueryScores  # of the pool with the list, minus those without it


def changed(row: Embedding, changes: dict[str, Any]) -> Embedding:
    """Change the fields that the row has; ignore other changes."""
    names = {field.name for field in fields(row)}
    return replace(row, **{name: value for name, value in changes.items() if name in names})


def embeddings_of(
    run: Run, chosen: list[str], also: list[str], changes: dict[str, Any]
) -> list[Embedding]:
    """Take the chosen rows of the recipe (none: all), and variants of them."""
    rows = [row for row in run.recipe.embeddings if not chosen or row.name in chosen]
    for name in also:
        kind, change = ALSO[name]
        first = next(row for row in rows if isinstance(row, kind))
        rows.append(replace(first, name=f"{first.name}_{name}", **change))
    return [changed(row, changes) for row in rows]


def train(run: Run, splits: list[str], embeddings: list[Embedding]) -> Run:
    """Train embeddings on the splits; return a run whose recipe has them."""
    rows = {row.name: row for row in (*run.recipe.embeddings, *embeddings)}
    run = replace(run, recipe=replace(run.recipe, embeddings=tuple(rows.values())))
    for split, row in product(splits, embeddings):
        with run.step(f"{split} {row.name}") as summary:
            summary |= row.build(run, split)
    return run


def timed_training(run: Run, split: str, row: Embedding) -> tuple[Run, str]:
    """Train an embedding on a split; return a run with it, and the CPU seconds of what was missing.

    "" where its files were up to date. After a kill the seconds are those of the rest.
    """
    start, before = time.time(), time.process_time()
    run = train(run, [split], [row])
    made = max(file.stat().st_mtime for file in row.files(run, split)) >= start
    return run, f"{time.process_time() - before:,.0f}" if made else ""


def retrievers_of(embeddings: list[Embedding], objective: int) -> list[tuple[str, Retriever]]:
    """Name the retrievers to measure for an objective: popularity, then those of each embedding."""
    rows: list[tuple[str, Retriever]] = [(POPULAR, PopularRetriever(POPULAR, top=max(CUTS)))]
    for row in embeddings:
        near = ItemToItemRetriever(row.name, row.name, LATEST, neighbours=row.top_n, top=max(CUTS))
        rows.append((f"{row.name}, neighbours", near))
        if row.makes_query_vectors:
            own = TwoTowerRetriever(row.name, row.name, objective, row.max_items, max(CUTS))
            rows.append((f"{row.name}, two towers", own))
    return rows


def ranks_in_list(lists: TopLists, query: I32, positive: I32) -> I32:
    """Rank of each positive in the list of its query, or -1."""
    item = lists[0]
    offsets = np.arange(item.shape[0] + 1, dtype=np.int64) * item.shape[1]
    return ranks_in_pool(query, positive, offsets, item.ravel())


def ranks_in_pools(lists: Sequence[CandidateLists], query: I32, positive: I32, size: int) -> I32:
    """Rank of each positive in the pool of its query, or -1; lists: shard after shard."""
    pools = [top_candidates(of_shard, size) for of_shard in lists]
    sizes = np.concatenate([np.diff(offsets) for offsets, _, _ in pools])
    offsets = offsets_of_sizes(sizes)
    return ranks_in_pool(query, positive, offsets, np.concatenate([item for _, item, _ in pools]))


def on_top(session: I32, rank: I32) -> I32:
    """Move the positives that have a rank to the top of their lists; -1 stays."""
    listed = pl.DataFrame({"session": session, "found": rank >= 0})
    before = listed.select(pl.col("found").cum_sum().over("session")).to_series().to_numpy() - 1
    return np.where(rank >= 0, before, -1).astype(np.int32)


def with_list(lists: CandidateLists, item: I32, score: F32) -> CandidateLists:
    """Append the lists (queries, top) of one more retriever."""
    listed = item >= 0
    size, rank = listed.sum(axis=1), np.nonzero(listed)[1]
    end = np.repeat(lists.offsets[1:], size)
    number = int(lists.retriever.max(initial=0)) + 1
    columns: tuple[np.ndarray, ...] = (
        np.full(rank.size, number), rank, item[listed], score[listed]
    )  # fmt: skip
    longer = (np.insert(old, end, new) for old, new in zip(lists[1:], columns, strict=True))
    return CandidateLists(lists.offsets + offsets_of_sizes(size), *longer)


def scores_of_lists(run: Run, split: str, embeddings: list[Embedding]) -> Iterator[ListScores]:
    """Yield the scores of every list on a split, objective by objective."""
    data, recipe = SplitData(run, split), run.recipe
    raw = pl.read_parquet(paths.sessions(run, split))["session"].to_numpy()
    labels = scan_positives(paths.labels(run, split)).collect()
    known, of_split = retrievers_of_step(run, embeddings=False), shards(run, split)
    lists = [read_candidates(shard_candidates(run, split, known, shard), shard)
             for shard in of_split]  # fmt: skip
    for o, objective in enumerate(recipe.objectives):
        session, positive, grade = arrays(labels.filter(objective=o), "session", "item", "grade")
        query = session - np.int32(data.first_query)
        without = ranks_in_pools(lists, query, positive, recipe.pool_size)
        for name, row in retrievers_of(embeddings, o) if session.size else []:
            more = row.lists(data, data.first_query, data.n_sessions)
            item, score = more[0][:, :IN_POOL], more[1][:, :IN_POOL]
            longer = []
            for shard, of_shard in zip(of_split, lists, strict=True):
                rows = slice(shard.first - data.first_query, shard.end - data.first_query)
                longer.append(with_list(of_shard, item[rows], score[rows]))
            pools = (ranks_in_pools(longer, query, positive, recipe.pool_size), without)
            inside, before = (
                score_ranks(session, on_top(session, rank), grade, Recall(recipe.k))
                for rank in pools
            )
            ranks = ranks_in_list(more, query, positive)
            scores = [*(score_ranks(session, ranks, grade, Recall(cut)) for cut in CUTS),
                      paired_difference(inside, before.value)]  # fmt: skip
            *at_cuts, in_pool = [replace(of, session=raw[of.session]) for of in scores]
            yield ListScores(objective.name, name, at_cuts, in_pool)


def rows(run: Run, splits: list[str], embeddings: list[Embedding]) -> list[list[str]]:
    """Format a row of the table for every objective and list."""
    scores: dict[tuple[str, str], list[ListScores]] = {}
    for split in splits:
        for of_list in scores_of_lists(run, split, embeddings):
            scores.setdefault((of_list.objective, of_list.table), []).append(of_list)
    at_cuts = {}
    for key, of_splits in scores.items():
        of_cuts = zip(*(of_split.at_cuts for of_split in of_splits), strict=True)
        at_cuts[key] = [QueryScores.concat(of_cut) for of_cut in of_cuts]
    lines = []
    for (objective, table), of_splits in scores.items():
        alone, popular = at_cuts[objective, table], at_cuts[objective, POPULAR][0]
        in_pool = QueryScores.concat([of_split.in_pool for of_split in of_splits])
        seed = run.recipe.seed
        lines.append([
            table, objective, *(f"{of.score():.4f}" for of in alone), interval(alone[0], seed),
            interval(paired_difference(alone[0], popular.value), seed),
            f"{in_pool.score():+.4f}", interval(in_pool, seed),
        ])  # fmt: skip
    return lines


def interval(scores: QueryScores, seed: int) -> str:
    """Format the 95 % interval of a score."""
    low, high = bootstrap([scores], [1.0], seed)
    return f"[{low[0]:.4f}, {high[0]:.4f}]"


def main(argv: list[str]) -> int:
    """Measure, print and append."""
    parser = argparse.ArgumentParser(prog="bench.vectors", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--splits", nargs="+", help="default: all that have labels")
    parser.add_argument("--rows", nargs="+", default=[], help="of the recipe; default: all")
    parser.add_argument("--also", nargs="+", default=[], choices=sorted(ALSO))
    parser.add_argument("--epochs", type=int, help="of every row, at most")
    parser.add_argument("--positions", type=int, help="of an epoch of the nets, at most")
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", args.output, "--engine", "cpu"]
    run = parse(str(__doc__), Path("4_embeddings.py"), flags)
    changes = {"epochs": args.epochs, "max_positions": args.positions,
               "min_positions": None if args.epochs is None else 1}  # fmt: skip
    changes = {name: value for name, value in changes.items() if value is not None}
    splits = args.splits or labelled_splits(run)
    embeddings = embeddings_of(run, args.rows, args.also, changes)
    run = train(run, splits, embeddings)
    facts = f"{', '.join(splits)}; pools of {run.recipe.pool_size}"
    measure.append_table(
        measure.title(measure.origin(argv, "bench.vectors"), facts),
        measure.table(HEAD, rows(run, splits, embeddings)),
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
