"""Would the competition take this file? The first ten faults of any submission, with their cures.

    python -m src.tools.check --dataset otto --input input/otto --file submission.csv

Reads the raw test file for the queries; the raw train file, where it is there, for the items.
"""

from __future__ import annotations

import argparse

from src.cli import run_cli, tool_flags
from src.datasets import RECIPES
from src.datasets import submission_rows as answers


def parse(argv: list[str] | None) -> argparse.Namespace:
    told = {"input": "folder of the raw files", "file": "the submission"}
    return tool_flags("check", __doc__, argv, **told)


def body(args: argparse.Namespace) -> int:
    """Print the faults, or that there are none; 2 where there are."""
    recipe = RECIPES[args.dataset]
    layout = recipe.layout(recipe)
    answers.there(args.file)
    asked = recipe.asked(args.input, recipe)
    faults = answers.check(args.file, layout, asked)
    for fault in faults:
        print(f"{args.file}, {fault}")
    if len(faults) == answers.TOLD:
        print("(the first ten; there may be more)")
    if not faults:
        rows = asked.queries.size * len(layout.objectives)
        items = "any items" if asked.items is None else f"{asked.items.size:,} items"
        print(f"{args.file}: right, {rows:,} rows for {asked.queries.size:,} queries, of {items}")
        if asked.items is None:
            print("(that the items exist was not checked: not all raw files are there)")
    return 2 if faults else 0


if __name__ == "__main__":
    args = parse(None)
    raise SystemExit(run_cli("check", lambda: body(args)))
