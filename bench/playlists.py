"""Score lists of playlists held out by step 1, by the metrics of the RecSys Challenge 2018.

    make submission DATASET=mpd INPUT=folder
    python -m bench.playlists --dataset mpd --output output/mpd [--lists-only]

Each retriever, each ranker and the blend, by the number of tracks that a query shows, with standard
errors over queries. The first 500 songs of a list count. Scores of rankers are out of fold; the
blend is chosen on the same playlists.
--lists-only leaves out rankers and blend: steps 1 to 4 are enough. Prints the table and appends it
to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import polars as pl

from bench import measure
from bench.sequences import STEPS, blended_lists, retrieved_lists
from src.cli import parse
from src.core.run import Run
from src.data import paths
from src.data.raw_ids import item_ids, session_ids
from src.tools.score import read_labels

SPLIT = "valid"


def tables_of(run: Run, with_rankers: bool) -> Iterator[pl.DataFrame]:
    """Yield the table of each list: a row per number of tracks that queries show, then of all."""
    path = paths.labels(run, SPLIT)
    truth = read_labels(path)
    sessions, items = session_ids(paths.sessions(run, SPLIT)), item_ids(paths.items(run))
    blended = blended_lists(run, SPLIT, run.recipe.k) if with_rankers else ()
    for name, dense in chain(retrieved_lists(run, SPLIT), blended):
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
    parser.add_argument("--lists-only", action="store_true")
    args = parser.parse_args(argv)
    flags = ["--dataset", args.dataset, "--output", str(args.output), "--engine", "cpu"]
    table = pl.concat(tables_of(parse("", STEPS[-1], flags), not args.lists_only))
    table = table.sort("shows", maintain_order=True, nulls_last=True)
    shows = pl.col("shows").cast(pl.String).fill_null("all")
    table = table.select(shows, "lists", pl.exclude("shows", "lists"))
    rows = [[f"{x:.4f}" if isinstance(x, float) else x for x in row] for row in table.rows()]
    record = measure.origin(sys.argv[1:] if argv is None else argv, "bench.playlists")
    measure.append_table(measure.title(record), measure.table(table.columns, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
