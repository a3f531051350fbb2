"""Recommend items for events, or for a text, with the models of a finished run.

    python -m src.tools.ask --dataset demo --events "clicks:7 carts:12"       (or: make ask)
    python -m src.tools.ask --dataset mpd --text "rainy sunday"

Prints the first items of each objective, where each comes from, and its strongest features. Without
a query, or on a terminal, a prompt asks for more. Nothing is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from src.cli import run_cli, run_of, step_flags
from src.core.console import show
from src.serving.query import MAX_K, K, list_length
from src.serving.recommender import Recommender
from src.serving.table import recommend
from src.tools.status import require_fresh

HELP = """clicks:7 carts:12    events, earliest first, by id, or by title in quotes
text rainy sunday    a text, where the dataset has texts
find moon            items whose title has the words, or whose id begins so
quit                 the end"""
FOUND = 10
"""Items that `find` lists."""
SOURCES = 4
"""Retrievers of an item that are printed."""


def flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a query."""
    parser.add_argument("--events", default="", help="like clicks:7 carts:12, earliest first")
    parser.add_argument("--text", default="", help="a text, such as the title of a playlist")
    parser.add_argument("--k", default=str(K), help=f"items of each list ({K}), {MAX_K} at most")


def load(args: argparse.Namespace, script: Path) -> Recommender:
    """Load a finished run; ValueError or FileNotFoundError, with the step to run, for another."""
    if not args.output.is_dir():
        made_by = f"make submission DATASET={args.dataset}{' CAUSAL=1' if args.causal else ''}"
        raise FileNotFoundError(
            f"{args.output} is not there; run {made_by} OUTPUT={args.output} first"
        )
    run = run_of(args, script)
    require_fresh(run)
    return Recommender(run)


def shown(row: dict[str, Any]) -> dict[str, object]:
    """Turn a row of RECOMMENDATIONS into a row for a terminal."""
    sources = [f"{source['retriever']} {source['rank']}" for source in row["proposed_by"]]
    features = [
        f"{f['feature']} {'missing' if f['value'] is None else format(f['value'], '.4g')} "
        f"({f['effect']:+.2f})"
        for f in row["features"]
    ]
    return {
        "rank": row["rank"], "id": row["id"], "title": row["title"],
        "score": f"{row['score']:.4g}", "without model": row["pool_rank"],
        "proposed by": ", ".join(sources[:SOURCES]), "features (effect)": ", ".join(features),
    }  # fmt: skip


def answer(of: Recommender, events: str, text: str, k: int) -> None:
    """Print the lists of a query."""
    table = recommend(of, events, text, k)
    for objective in of.blends:
        rows = pl.DataFrame([shown(row) for row in table.filter(objective=objective).to_dicts()])
        print(f"\n{objective}")
        show(rows if of.names.has_titles else rows.drop("title"))


def reply(of: Recommender, line: str, k: int) -> None:
    """Answer a line of the prompt; say what is wrong with it in a line."""
    word, _, rest = line.strip().partition(" ")
    try:
        if word == "find":
            print("\n".join(map(of.names.describe, of.names.search(rest, FOUND))) or "no item")
        elif word == "text":
            answer(of, "", rest, k)
        elif word in ("help", "?"):
            print(HELP)
        else:
            answer(of, line, "", k)
    except ValueError as error:
        print(error)


def prompt(of: Recommender, lines: Iterable[str], k: int) -> None:
    """Answer lines until the last one, or `quit`."""
    print(HELP)
    print("> ", end="", flush=True)
    for line in lines:
        if line.strip() in ("quit", "exit"):
            break
        if line.strip():
            reply(of, line, k)
        print("> ", end="", flush=True)


def body(args: argparse.Namespace) -> int:
    """Answer the query of the flags, then those of a prompt."""
    k = list_length(args.k)
    of = load(args, Path(__file__))
    if args.events or args.text:
        answer(of, args.events, args.text, k)
    if sys.stdin.isatty() or not (args.events or args.text):
        prompt(of, sys.stdin, k)
    return 0


if __name__ == "__main__":
    raise SystemExit(
        run_cli("ask", lambda: body(step_flags(__doc__ or "", Path(__file__), more=flags)))
    )
