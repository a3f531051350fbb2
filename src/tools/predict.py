"""Write the probabilities of raw impressions, from a bundle alone.

    python -m src.tools.predict --dataset ebnerd --bundle export --raw behaviors.parquet --to p.csv

Needs `make export`. Reads the bundle and a file of the form of the raw test file, and writes a row
per candidate: its raw ids, and a probability per objective. Logs are those of the bundle: what was
shown and clicked since the export is not known.
"""

from __future__ import annotations

import argparse

import polars as pl

from src.cli import configured, run_cli, tool_flags
from src.core import store
from src.export.bundle import LOGS, Bundle


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the flags."""
    return tool_flags(
        "predict", __doc__, argv, bundle="folder of make export", raw="file of raw impressions",
        to="file to write: .csv",
    )  # fmt: skip


def body(args: argparse.Namespace) -> int:
    """Read, score, write."""
    dataset, bundle = configured(args), Bundle.load(args.bundle)
    lists = dataset.read_raw(args.raw, args.bundle / LOGS)
    table = lists.keys.with_columns(
        pl.Series(name, values) for name, values in bundle.raw_probabilities(lists).items()
    )
    store.write_text(args.to, table.write_csv())
    print(f"{args.to}: {table.height:,} candidates of {lists.impressions.height:,} lists")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_cli("predict", lambda: body(parse(None))))
