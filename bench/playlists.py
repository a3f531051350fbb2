"""Score lists of playlists held out by step 1, by the metrics of the RecSys Challenge 2018.

    make submission DATASET=mpd INPUT=folder
    python -m bench.playlists --dataset mpd --output output/mpd [--lists-only]
    python -m bench.playlists --dataset mpd --output output/mpd --generators codes towers
    python -m bench.playlists --dataset mpd --output output/mpd --sentences

Each retriever, each ranker and the blend, by the number of tracks that a query shows, with standard
errors over queries. The first 500 songs of a list count. Scores of rankers are out of fold; the
blend is chosen on the same playlists.
--lists-only leaves out rankers and blend: steps 1 to 4 are enough. --generators trains generators
instead, on the visible songs of `valid`, those of queries too, and measures their lists alone.
--sentences compares titles by a SentenceEncoder instead (requirements-texts.txt). Both say in the
title which share of the hidden songs no list of the recipe has, and the CPU seconds of training.
Prints the table and appends it to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import polars as pl

from bench import measure
from bench.sequences import STEPS, blended_lists, retrieved_lists
from bench.vectors import timed_training, train
from src.candidates.base import Retriever
from src.candidates.generated import GeneratedRetriever
from src.candidates.lists import to_frame
from src.candidates.text_knn import TextKnnRetriever
from src.candidates.unseen import unseen_lists
from src.cli import parse
from src.core.run import Run
from src.data import paths
from src.data.labels import scan_positives
from src.data.raw_ids import item_ids, session_ids
from src.data.split_data import SplitData
from src.embeddings.generator import GeneratorEmbedding
from src.embeddings.text import TextEmbedding
from src.embeddings.word2vec import Word2VecEmbedding
from src.texts.sentence import SentenceEncoder
from src.texts.tfidf import TfidfEncoder
from src.tools.score import read_labels

SPLIT = "valid"
LETTERS = TfidfEncoder(dim=128, analyzer="char", ngrams=(2, 4))
W2V = Word2VecEmbedding("w2v", window=5, epochs=10, min_count=2)
NAMES = TextEmbedding("names", ("title", "artist", "album"), TfidfEncoder(), max_items=1_000)
CODES = GeneratorEmbedding(
    "codes", (W2V.name, NAMES.name), texts=LETTERS, any_order=True, own_vectors=True, max_len=25,
    epochs=8, learning_rate=0.004,
)  # fmt: skip
TOWERS = replace(CODES, name="towers", sizes=(), own_vectors=False, max_items=20_000)
GENERATORS = {
    row.name: row
    for row in (
        CODES,
        TOWERS,
        replace(CODES, name="untitled", texts=None),
    )
}
"""Codes by the songs around and by their names; one code a song; codes without titles."""

SENTENCES = TextKnnRetriever("sentences", "vectors", SentenceEncoder(), neighbours=150)


def generated_lists(
    run: Run, names: Sequence[str], facts: list[str]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Train generators; yield their names and lists: session, item, rank from 0.

    facts: get the CPU seconds of each training, and those of `lists_of`.
    """
    run = train(run, [SPLIT], [W2V, NAMES])
    for row in (GENERATORS[name] for name in names):
        of, seconds = timed_training(run, SPLIT, row)
        facts += [f"{row.name} {seconds} CPU s"] if seconds else []
        k = run.recipe.k
        yield lists_of(of, GeneratedRetriever(row.name, row.name, k, beams=2 * k), facts)


def lists_of(run: Run, row: Retriever, facts: list[str]) -> tuple[str, pl.DataFrame]:
    """Return the name and the lists of a retriever without the songs that a query shows.

    facts: get the share of the hidden songs that it alone lists.
    """
    data = SplitData(run, SPLIT)
    lists = unseen_lists(row, data, data.first_query, data.n_sessions)
    found = to_frame(lists, data.first_query).select("session", "item", "rank")
    hidden = scan_positives(paths.labels(run, SPLIT)).select("session", "item").collect()
    alone = hidden.join(found, on=["session", "item"], how="semi")
    for _, other in retrieved_lists(run, SPLIT):
        alone = alone.join(other, on=["session", "item"], how="anti")
    facts.append(f"{row.name} alone lists {alone.height / hidden.height:.4f} of the hidden songs")
    return row.name, found


def tables_of(run: Run, listed: Iterable[tuple[str, pl.DataFrame]]) -> Iterator[pl.DataFrame]:
    """Yield the table of each list: a row per number of tracks that queries show, then of all."""
    path = paths.labels(run, SPLIT)
    truth = read_labels(path)
    sessions, items = session_ids(paths.sessions(run, SPLIT)), item_ids(paths.items(run))
    for name, dense in listed:
        first = dense.filter(pl.col("rank") < run.recipe.k)
        lists = first.with_columns(
            session=sessions.gather(first["session"]), item=items.gather(first["item"])
        )
        if (table := run.dataset.own_scores(lists, truth, path)) is None:
            raise ValueError(f"{run.dataset.name} has no metrics of its own; name another dataset")
        yield table.with_columns(lists=pl.lit(name))


def main(argv: list[str] | None = None) -> int:
    """Print the table and append it to the results."""
    parser = argparse.ArgumentParser("bench.playlists", description=__doc__)
    parser.add_argument("--dataset", required=True, help="the dataset of playlists")
    parser.add_argument("--output", type=Path, required=True, help="results of the steps")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--lists-only", action="store_true")
    either.add_argument("--generators", nargs="+", default=[], choices=list(GENERATORS))
    either.add_argument("--sentences", action="store_true")
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", str(args.output), "--engine", "cpu"]
    run, facts = parse("", STEPS[-1], flags), list[str]()
    if args.generators:
        listed = generated_lists(run, args.generators, facts)
    elif args.sentences:
        listed = iter([lists_of(run, replace(SENTENCES, top=run.recipe.k), facts)])
    elif args.lists_only:
        listed = retrieved_lists(run, SPLIT)
    else:
        listed = chain(retrieved_lists(run, SPLIT), blended_lists(run, SPLIT, run.recipe.k))
    table = pl.concat(tables_of(run, listed))
    table = table.sort("shows", maintain_order=True, nulls_last=True)
    shows = pl.col("shows").cast(pl.String).fill_null("all")
    table = table.select(shows, "lists", pl.exclude("shows", "lists"))
    rows = [[f"{x:.4f}" if isinstance(x, float) else x for x in row] for row in table.rows()]
    record = measure.origin(sys.argv[1:] if argv is None else argv, "bench.playlists")
    measure.append_table(measure.title(record, *facts), measure.table(table.columns, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
