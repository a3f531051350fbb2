"""Print how time and memory of the steps grow with size, from bench/results.jsonl.

    python -m bench.scaling [--commit abc1234]

A row per machine, step and size, of the latest run without a failure: seconds, ns per event, peak.
The exponent is log(ratio of seconds) / log(ratio of events) to the next smaller size; 1 is linear.
--commit takes the runs of one commit only. Runs of different machines are not compared.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from itertools import pairwise

from bench import measure
from bench.measure import Record

HEAD = ("step", "size", "events", "seconds", "ns/event", "exponent", "peak GiB", "GiB per 1M",
        "commit")  # fmt: skip


def latest(lines: Iterable[Record], commit: str | None = None) -> list[list[Record]]:
    """Take the last good run of each size, smallest first: a list per machine and step."""
    groups: dict[tuple[str, str], dict[float, Record]] = {}
    for line in lines:
        if line["kind"] != "step" or line["code"] or not line["events"]:
            continue
        if commit is None or line["commit"] == commit:
            machine = f"{line['machine']['cpu']} x {line['machine']['cores']}"
            groups.setdefault((machine, line["step"]), {})[line["size"]] = line
    return [[sizes[size] for size in sorted(sizes)] for _, sizes in sorted(groups.items())]


def exponent(small: Record, large: Record) -> float:
    """Compute the exponent of the growth of seconds with events."""
    grown = math.log(large["events"] / small["events"])
    return math.log(large["seconds"] / small["seconds"]) / grown if grown else math.nan


def rows(runs: list[Record]) -> list[list[str]]:
    """Format the rows of one machine and step, one per size."""
    powers = ["", *(f"{exponent(small, large):.2f}" for small, large in pairwise(runs))]
    return [
        [
            run["step"],
            f"{run['size']:g}",
            f"{run['events']:,}",
            f"{run['seconds']:,.1f}",
            f"{run['seconds'] / run['events'] * 1e9:,.0f}",
            power,
            f"{run['peak_gib']:.2f}",
            f"{run['peak_gib'] / run['events'] * 1e6:.3f}",
            run["commit"],
        ]
        for run, power in zip(runs, powers, strict=True)
    ]


def main(argv: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="bench.scaling", description=__doc__)
    parser.add_argument("--commit", help="only runs of this commit (default: of any)")
    args = parser.parse_args(argv)
    groups = latest(measure.read_lines(), args.commit)
    if not groups:
        raise SystemExit("no runs to compare yet: make bench SIZE=0.01, then a larger SIZE")
    print(measure.table(HEAD, (row for runs in groups for row in rows(runs))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
