"""Show the semantic ids of a generator: how good they are, of an item, or of a prefix of codes.

    python -m src.tools.semantic_ids --dataset sequences --embedding tiger [--split valid]
        [--item B000052YAN | --codes 17 3]

Needs step 4, with a GeneratorEmbedding. Without --item and --codes: a table of the levels, scores
of the clusters of the first level, and the largest groups of items that only the last code tells
apart. --item: its codes, and the items whose vectors are nearest. --codes: the items whose ids
begin so, most frequent first. All flags of the steps are taken too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from src.cli import parse as parse_run
from src.cli import run_cli
from src.core.arrays import F32, I64
from src.core.console import show
from src.core.run import Run
from src.data import paths
from src.data.split_data import SplitData
from src.data.vectors import load
from src.embeddings.generator import GeneratorEmbedding
from src.generation.ids import Ids, same_codes
from src.generation.measures import cluster_scores, level_table

SHOWN = 20  # items or groups of a table
TEXT = 60  # characters of an item's text


def parse(argv: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Read the tool's own flags; return the others too."""
    parser = argparse.ArgumentParser(
        "semantic_ids", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--embedding", required=True, help="name of a GeneratorEmbedding")
    parser.add_argument("--split", default="valid", help="of the events that were read (valid)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--item", help="raw id of an item")
    what.add_argument("--codes", type=int, nargs="+", help="first codes of ids")
    return parser.parse_known_args(argv)


def row_named(run: Run, name: str) -> GeneratorEmbedding:
    """Return the row of a generator; raise ValueError where the recipe has none of that name."""
    rows = [row for row in run.recipe.embeddings if isinstance(row, GeneratorEmbedding)]
    for row in rows:
        if row.name == name:
            return row
    raise ValueError(f"--embedding {name}: the recipe has {[row.name for row in rows]}")


def described(run: Run, items: I64, ids: Ids, count: I64) -> pl.DataFrame:
    """Tabulate items: raw id, codes, events, and the first text that step 1 knows of them."""
    table = pl.read_parquet(paths.items(run))[items]
    codes = [" ".join(map(str, row)) for row in ids.codes[items].tolist()]
    texts = [name for name, dtype in table.schema.items() if dtype == pl.String][:2]
    shown = table.select(pl.col("item_id").cast(pl.String)).with_columns(
        codes=pl.Series(codes, dtype=pl.String), events=pl.Series(count[items])
    )
    more = [table[name].str.slice(0, TEXT) for name in texts if name != "item_id"][:1]
    return shown.hstack(more)


def nearest(vectors: F32, item: int, n: int) -> I64:
    """Return the n items with the highest cosine with an item, which is the first of them."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.lexsort((np.arange(len(unit)), -(unit @ unit[item])))[:n]


def collisions(ids: Ids) -> list[I64]:
    """Return the items of each id that others share, but for the last code; largest group first."""
    groups = [ids.items[rows] for rows in same_codes(ids.codes[ids.items, :-1])]
    return sorted((of for of in groups if of.size > 1), key=lambda of: -of.size)


def body(args: argparse.Namespace, run: Run) -> int:
    """Print what the flags ask for."""
    row, data = row_named(run, args.embedding), SplitData(run, args.split)
    file = paths.semantic_ids(run, args.split, row.name)
    sources = [paths.item_vectors(run, args.split, name) for name in (*row.vectors, row.name)]
    run.require([file, *sources, paths.events(run, args.split)])
    codes = load(file)
    last = int(codes[:, -1].max(initial=0)) + 1
    ids = Ids(np.asarray(codes, np.int32), (*row.sizes, last))
    count = data.sessions.count_items()
    vectors = np.column_stack([load(path) for path in sources[: len(row.vectors) or 1]])
    if args.item is not None:
        raw = pl.read_parquet(paths.items(run), columns=["item_id"]).to_series().cast(pl.String)
        if args.item not in raw:
            raise ValueError(f"--item {args.item}: no such item in {paths.items(run)}")
        number = int((raw == args.item).arg_max() or 0)
        show(described(run, nearest(vectors, number, SHOWN), ids, count))
    elif args.codes is not None:
        prefix = np.array(args.codes[: ids.codes.shape[1]])
        found = ids.items[(ids.codes[ids.items, : prefix.size] == prefix).all(axis=1)]
        print(f"{found.size} items have ids that begin with {' '.join(map(str, prefix))}")
        show(described(run, found[np.lexsort((found, -count[found]))][:SHOWN], ids, count))
    else:
        show(level_table(ids, vectors, data.sessions, row.nested))
        scores = cluster_scores(ids, vectors, run.recipe.seed)
        print(", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
        groups = collisions(ids)
        alike = sum(of.size for of in groups)
        print(f"{alike} of {ids.items.size} items share all codes but the last with others")
        if groups:
            show(described(run, groups[0][:SHOWN], ids, count))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Parse the flags, print, and return the exit code."""
    args, others = parse(argv)
    return run_cli("semantic_ids", lambda: body(args, parse_run("", Path(__file__), others)))


if __name__ == "__main__":
    raise SystemExit(main())
