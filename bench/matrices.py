"""The matrix kernel against the polars self-merge: same rows, same events, one run.

    python -m bench.matrices --sessions 200000

Every measurement is a process of its own that reads the events from disk: seconds are from there to
the finished matrix (numba's compilation, done on a few events first, left out), memory is the
process's peak. Appends a table to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from src import matrix_kernel, simulate, view_kernel
from src.datasets import RECIPES
from src.events import EVENTS, Sessions
from src.matrices import Span, self_merge
from src.recipe import MatrixRow
from src.run import peak_gib

ROWS = ("recent", "near6", "day_carts", "ahead2_carts", "then_buy_4w", "near_6h", "buy2buy")
RANGES = 8  # of items, for the self-merge: what it needs to fit
WAYS = ("kernel", "self-merge")


def write_events(sessions: int, path: Path) -> pl.DataFrame:
    """Events of a simulated shop as step 1 leaves them."""
    world = simulate.World.like_otto(sessions)
    blocks = [block for test, block in simulate.simulate(world) if not test]
    events = pl.concat(blocks).with_columns(ts=pl.col("ts") // 1000)
    events = events.select(EVENTS.names()).cast(dict(EVENTS))
    events.write_parquet(path)
    return events


def kernel(row_name: str, path: Path) -> int:
    """The CPU's way; the number of neighbours found."""
    row = rows()[row_name]
    events = pl.read_parquet(path)
    span = Span(events["ts"].min(), events["ts"].max())  # type: ignore[arg-type]
    n_items = int(events["aid"].max()) + 1  # type: ignore[arg-type]
    sessions = Sessions.from_events(events, int(events["session"][-1]) + 1, n_items, 0)
    view = view_kernel.make_view(sessions, row, span)
    return matrix_kernel.count(view, row, span).to_frame().height


def merge(row_name: str, path: Path) -> int:
    """The definition, in ranges of items; the number of neighbours found."""
    row, events = rows()[row_name], pl.scan_parquet(path)
    first, last, n_items = (
        events.select(pl.min("ts"), pl.max("ts").alias("last"), pl.max("aid") + 1).collect().row(0)
    )
    step = -(-n_items // RANGES)
    ranges = [(a, a + step) for a in range(0, n_items, step)]
    tables = [
        self_merge(events, row, Span(first, last), r).collect(engine="streaming") for r in ranges
    ]
    return sum(table.height for table in tables)


def rows() -> dict[str, MatrixRow]:
    """The matrix rows of all recipes, by name."""
    return {row.name: row for recipe in RECIPES.values() for row in recipe.matrices}


def measure(way: str, row: str, path: Path, tiny: Path) -> dict[str, float]:
    """Run one way of one row in a process of its own."""
    command = [sys.executable, "-m", "bench.matrices", "--way", way, "--row", row]
    done = subprocess.run(
        [*command, "--events", str(path), "--tiny", str(tiny)], capture_output=True, check=True
    )
    return json.loads(done.stdout)


def child(args: argparse.Namespace) -> None:
    """One measurement, printed as JSON."""
    count = kernel if args.way == "kernel" else merge
    count(args.row, args.tiny)
    start = time.perf_counter()
    found = count(args.row, args.events)
    seconds = time.perf_counter() - start
    print(json.dumps({"rows": found, "seconds": seconds, "gib": peak_gib()}))


def main() -> None:
    """Measure every row both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=200_000)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--row")
    parser.add_argument("--events", type=Path)
    parser.add_argument("--tiny", type=Path)
    args = parser.parse_args()
    if args.way:
        return child(args)
    with TemporaryDirectory() as folder:
        path, tiny = Path(folder) / "events.parquet", Path(folder) / "tiny.parquet"
        events = write_events(args.sessions, path)
        write_events(1_000, tiny)
        lines = [header(events.height, args.sessions)]
        for row in ROWS:
            ours, theirs = (measure(way, row, path, tiny) for way in WAYS)
            if ours["rows"] != theirs["rows"]:
                raise SystemExit(f"{row}: {ours['rows']} neighbours, but {theirs['rows']} by merge")
            lines.append(line(row, ours, theirs))
            print(lines[-1], flush=True)
    with open(Path(__file__).with_name("RESULTS.md"), "a") as results:
        results.write("\n".join(lines) + "\n\n")


def header(events: int, sessions: int) -> str:
    """What was run, and the head of its table."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return (
        f"`python -m bench.matrices --sessions {sessions}` at {commit.stdout.strip()}: "
        f"{events:,} events, {os.cpu_count()} cores, {platform.machine()}, "
        f"polars {pl.__version__}, self-merge in {RANGES} ranges of items\n\n"
        "| row | neighbours | kernel | | self-merge | | times faster |\n"
        "|---|---|---|---|---|---|---|"
    )


def line(row: str, ours: dict[str, float], theirs: dict[str, float]) -> str:
    """A row of the table."""
    return (
        f"| {row} | {ours['rows']:,} | {ours['seconds']:.2f} s | {ours['gib']:.2f} GiB "
        f"| {theirs['seconds']:.2f} s | {theirs['gib']:.2f} GiB "
        f"| {theirs['seconds'] / ours['seconds']:.1f} |"
    )


if __name__ == "__main__":
    main()
