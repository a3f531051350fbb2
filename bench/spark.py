"""Measure matrices on Spark beside the kernel and the self-merge: same events, same machine.

    python -m bench.spark --events output/bench-0.015625/valid/events.parquet [--rows near6]
        [--ways spark]

Needs step 1, Java and pyspark; SPARK_MASTER and SPARK_CONF are those of `make`. Every way runs
every row in a process of its own, on 200 sessions first. Job seconds go from reading the events to
the finished matrix in memory. CPU seconds and peak are those of the whole process, for Spark those
of Java and of the driver added. Shuffled are the bytes that Spark's stages wrote for each other.
All matrices are compared with that of the kernel, which always runs. Appends a table to
bench/RESULTS.md and a line per process to bench/results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import measure
from bench.measure import Record

ROWS = ("near6", "recent", "buy2buy")  # by steps, by the last 30 events, by time and type
KERNEL = "kernel"
WAYS = (KERNEL, "self-merge", "spark")
HEAD = ("row", "way", "job s", "CPU s", "peak GiB", "shuffled B/event", "neighbours",
        "as the kernel", "exit")  # fmt: skip


def measure_way(way: str, row: str, folder: Path, log: Path) -> Record:
    """Measure one way on one row; compare its matrix with the kernel's."""
    module = ["bench.spark_way"] if way == "spark" else ["bench.ways", way]
    matrix = folder / f"{way}.parquet"
    flags = ["--row", row, "--folder", str(folder), "--keep", str(matrix)]
    done = measure.run([sys.executable, "-m", *module, *flags], log)
    record = {"kind": "spark", "way": way, "row": row, **done.record()}
    if done.code:
        return record
    record |= json.loads(done.last_line)
    return record | measure.ask(
        "bench.frames", "compare", str(folder / f"{KERNEL}.parquet"), str(matrix)
    )


def line(record: Record) -> list[str]:
    """Format a row of the table."""
    names = [record["row"], record["way"]]
    if record["code"]:
        return [*names, *[""] * (len(HEAD) - 3), measure.state(record["code"])]
    facts = record["facts"]
    shuffled = f"{facts['shuffled'] / record['events']:,.0f}" if "shuffled" in facts else ""
    exact = (record["same"], record["off"]) == (1, 0)
    return [
        *names,
        f"{record['job_seconds']:,.2f}",
        f"{record['cpu_seconds'] + facts.get('java_cpu_seconds', 0):,.1f}",
        f"{record['peak_gib'] + facts.get('java_gib', 0):.2f}",
        shuffled,
        f"{record['found']:,}",
        "equal" if exact else f"{record['same']:.4%}",
        "ok",
    ]


def main(argv: list[str]) -> int:
    """Measure every way on every row; return 1 if a process failed."""
    parser = argparse.ArgumentParser(prog="bench.spark", description=__doc__)
    parser.add_argument("--events", type=Path, required=True, help="a split's events.parquet")
    parser.add_argument("--rows", nargs="+", default=ROWS)
    parser.add_argument("--ways", nargs="+", default=WAYS[1:], choices=WAYS[1:])
    args = parser.parse_args(argv)
    origin, records = measure.origin(argv, "bench.spark"), []
    with TemporaryDirectory(dir=args.events.resolve().parent, prefix="spark-") as name:
        counts = measure.ask("bench.frames", "sample", str(args.events), name, "1", "200")
        for row in args.rows:
            for way in (KERNEL, *args.ways):
                record = measure_way(way, row, Path(name), args.events.parent / "spark.log")
                records.append({**origin, **counts, **record})
                measure.append_line(records[-1])
    settings = (f"{key}={os.environ.get(key, '')}" for key in ("SPARK_MASTER", "SPARK_CONF"))
    facts = f"{counts['events']:,} events", *settings, measure.versions("pyspark", "polars")
    measure.append_table(measure.title(origin, *facts), measure.table(HEAD, map(line, records)))
    return int(any(record["code"] for record in records))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
