"""Check any submission as the competition would: its first ten faults, each with a cure.

    python -m src.tools.check --dataset otto --input input/otto --file submission.csv

Reads the queries from the raw test file. Reads the items from all raw files, if none is missing.
"""

from __future__ import annotations

import argparse

from src.cli import run_cli, tool_flags
from src.datasets import DATASETS
from src.datasets.submission_rows import MAX_FAULTS, check, require_file


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the flags."""
    paths = {"input": "folder of the raw files", "file": "the submission"}
    return tool_flags("check", __doc__, argv, **paths)


def body(args: argparse.Namespace) -> int:
    """Print the faults, or that there are none; return 2 where there are some."""
    dataset = DATASETS[args.dataset]
    fmt = dataset.submission_format()
    require_file(args.file)
    expected = dataset.expected(args.input)
    faults = check(args.file, fmt, expected)
    for fault in faults:
        print(f"{args.file}, {fault}")
    if len(faults) == MAX_FAULTS:
        print(f"(the first {MAX_FAULTS}; there may be more)")
    if not faults:
        queries, items = expected.queries.size, expected.items
        of = "any items" if items is None else f"{items.size:,} items"
        rows = queries * len(fmt.objectives)
        print(f"{args.file}: right, {rows:,} rows for {queries:,} queries, of {of}")
        if items is None:
            print("(whether the items exist was not checked: a raw file is missing)")
    return 2 if faults else 0


if __name__ == "__main__":
    args = parse(None)
    raise SystemExit(run_cli("check", lambda: body(args)))
