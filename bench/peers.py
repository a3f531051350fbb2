"""Compare the matrix kernel with other ways to the same matrices: same events, same machine.

    python -m bench.peers --events output/bench-0.01/valid/events.parquet [--rows recent near6]

Needs step 1. Every way runs every row in a process of its own (bench.ways), on 200 sessions first,
so that nothing is compiled while it is measured. Job seconds go from reading the events to the
finished matrix in memory; CPU seconds and peak are those of the whole process. The matrices of
self-merge and duckdb are compared with that of the kernel.

The jobs: `full` is the row as defined. `easier` has no time window and no weights. `public` is the
way of the public notebooks, on a sample of the sessions; so speed is compared per event. A way that
fails, or takes longer than --timeout, is reported, and the next one runs. Prints a table, appends
it to bench/RESULTS.md, and a line per process to bench/results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import measure
from bench.measure import Record

ROWS = ("recent", "near6", "day_carts", "ahead2_carts", "then_buy_4w", "near_6h", "buy2buy")
KERNEL, ALL_ROWS = "kernel", "kernel, all rows"
JOBS = {
    KERNEL: ("full", ROWS),
    ALL_ROWS: ("full", ()),  # once
    "self-merge": ("full", ROWS),
    "duckdb": ("full", ROWS),
    "sparse_dot_topn": ("easier", ("recent", "buy2buy")),
    "scipy": ("easier", ("recent", "buy2buy")),
    "pandas": ("public", ("recent",)),
}
"""Job of each way, and the rows that it is measured on."""

PACKAGES = ("polars", "numba", "duckdb", "sparse_dot_topn", "scipy", "pandas")
HEAD = ("row", "way", "job", "job s", "CPU s", "peak GiB", "neighbours", "as ours",
        "events/s", "ours faster", "exit")  # fmt: skip


def measure_way(
    way: str, row: str, folder: Path, counts: Record, args: argparse.Namespace
) -> dict[str, Any]:
    """Measure one way on one row; compare its matrix with the kernel's for the same job."""
    matrix, ours = folder / f"{way}.parquet", folder / f"{KERNEL}.parquet"
    limits = ["--range-events", str(args.range_events), "--memory-limit", args.memory_limit]
    command = ["bench.ways", way, "--row", row, "--folder", str(folder), "--keep", str(matrix)]
    log = args.events.parent / "peers.log"
    done = measure.run([sys.executable, "-m", *command, *limits], log, args.timeout)
    result = json.loads(done.last_line) if done.code == 0 else {}
    events = counts["sample_events" if way == "pandas" else "events"]
    if result:
        per_row = result["job_seconds"] / result["facts"].get("rows", 1)
        result |= {"row_seconds": per_row, "events_per_second": events / per_row}
    if result and way != KERNEL and matrix.exists() and ours.exists():
        result |= measure.ask("bench.frames", "compare", str(ours), str(matrix))
    name = "all" if way == ALL_ROWS else row
    record = {"kind": "peer", "way": way, "row": name, "job": JOBS[way][0], "events": events}
    return {**record, **done.record(), **result}


def line(record: Record, ours: dict[str, float]) -> list[str]:
    """Format a row of the table; ours: events per second of the kernel, by row."""
    process = [f"{record['cpu_seconds']:,.1f}", f"{record['peak_gib']:.2f}"]
    names = [record["row"], record["way"], record["job"]]
    speed, base = record.get("events_per_second"), ours.get(record["row"])
    if speed is None:
        return [*names, "", *process, "", "", "", "", measure.state(record["code"])]
    if "rows" in record["facts"]:
        names[0] = f"each of {record['facts']['rows']}"
    exact = (record.get("same"), record.get("off")) == (1, 0)
    same = "equal" if exact else f"{record.get('same', 0):.4%}"
    return [
        *names,
        f"{record['row_seconds']:,.3f}",
        *process,
        f"{record['found']:,}",
        same if "same" in record else "",
        f"{speed:,.0f}",
        f"{base / speed:.1f}" if base and record["way"] != KERNEL else "",
        measure.state(record["code"]),
    ]


def facts_of(records: list[Record], counts: Record, args: argparse.Namespace) -> list[str]:
    """List the facts that stand above the table."""
    every = counts["every"]
    off = max((r.get("off", 0.0) for r in records), default=0.0)
    pandas = (f"pandas on {counts['sample_sessions']:,} sessions, "
              f"{counts['sample_events']:,} events")  # fmt: skip
    for record in records:
        if record["way"] == "pandas" and not record["code"]:
            pandas += f": {record['facts']['pairs'] / record['job_seconds']:,.0f} pairs/s"
    return [
        f"sessions with number % {every} == 0" if every > 1 else "all sessions",
        f"{counts['events']:,} events, {counts['sessions']:,} sessions, {counts['items']:,} items",
        measure.versions(*PACKAGES),
        f"self-merge and scipy in ranges of items with {args.range_events:,} events each",
        f"duckdb with {args.memory_limit} and a folder to spill to",
        pandas,
        f"weights differ from ours by {off:.1e} at most, relatively",
    ]


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the flags."""
    parser = argparse.ArgumentParser(
        prog="bench.peers", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--events", type=Path, required=True, help="a split's events.parquet")
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS)
    parser.add_argument("--ways", nargs="+", default=list(JOBS), choices=list(JOBS))
    parser.add_argument("--share", type=float, help="of the sessions: 1, 0.5, 0.25, ...")
    parser.add_argument(
        "--max-events", type=int, default=20_000_000, help="where no share is given"
    )
    parser.add_argument("--pandas-sessions", type=int, default=20_000)
    parser.add_argument("--range-events", type=int, default=250_000, help="written out at a time")
    parser.add_argument("--memory-limit", default="8GB", help="of duckdb (8GB)")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds of one cell (3600)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Measure every way on every row; return 1 if a process failed."""
    args = parse(argv)
    origin, records = measure.origin(argv, "bench.peers"), []
    n_events = measure.ask("bench.frames", "rows", str(args.events))
    every = round(1 / args.share) if args.share else -(-n_events // args.max_events)
    with TemporaryDirectory(dir=args.events.resolve().parent, prefix="peers-") as name:
        folder, sizes = Path(name), (str(every), str(args.pandas_sessions))
        counts = measure.ask("bench.frames", "sample", str(args.events), name, *sizes)
        counts["every"] = every
        for row in args.rows:
            for way in args.ways:
                if row in JOBS[way][1] or (way == ALL_ROWS and row == args.rows[0]):
                    record = measure_way(way, row, folder, counts, args)
                    records.append({**origin, **counts, **record})
                    measure.append_line(records[-1])
            for way in args.ways:
                (folder / f"{way}.parquet").unlink(missing_ok=True)
    ours = {
        r["row"]: r["events_per_second"] for r in records if r["way"] == KERNEL and not r["code"]
    }
    heading = measure.title(origin, *facts_of(records, counts, args))
    measure.append_table(heading, measure.table(HEAD, (line(r, ours) for r in records)))
    return int(any(record["code"] for record in records))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
