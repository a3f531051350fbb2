"""Check a submission as the competition does, and print its first ten faults with cures.

    python -m src.tools.check --dataset otto --input input/otto --file submission.csv

Queries are those of the raw test file. Items are checked if no raw file is missing.
"""

from __future__ import annotations

import argparse

from src.cli import configured, run_cli, tool_flags
from src.datasets.submission_rows import MAX_FAULTS, require_file


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the flags."""
    paths = {"input": "folder of the raw files", "file": "the submission"}
    return tool_flags("check", __doc__, argv, **paths)


def body(args: argparse.Namespace) -> int:
    """Print the faults, or the counts of a right submission; return 2 for faults."""
    dataset = configured(args)
    require_file(args.file)
    faults, right = dataset.check_submission(args.file, args.input)
    for fault in faults:
        print(f"{args.file}, {fault}")
    if len(faults) == MAX_FAULTS:
        print(f"(the first {MAX_FAULTS}; there may be more)")
    if not faults:
        print(f"{args.file}: right, {right}")
    return 2 if faults else 0


if __name__ == "__main__":
    raise SystemExit(run_cli("check", lambda: body(parse(None))))
