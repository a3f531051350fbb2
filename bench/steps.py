"""The steps at one size: seconds, CPU, peak memory, bytes and events per second of each.

    python -m bench.steps --dataset otto --size 0.01 [--last 3] [--data folder] [--output folder]

The size is a share of OTTO's 12,899,779 train sessions. Raw files are simulated (and that is
measured) where the data folder has none; other flags go to the steps as they are. Each step is a
process of its own; the output folder is a fresh one. All steps run on 2,000 sessions first, so that
numba's kernels are compiled; what the page cache holds is as it happens to be. A step that fails is
reported as such, and ends the run.

Events per second: simulation and step 1, of the raw files; the others, of all splits together.
Appends a table to bench/RESULTS.md, a line a process to bench/results.jsonl, and writes
<output>/bench.log: what the steps printed, a line for each thing they made.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import measure
from bench.measure import Record

SESSIONS = 12_899_779  # of OTTO's train file
WARM_UP = 2_000  # sessions
STEPS = ("1_preparation", "2_matrices", "3_candidates", "4_embeddings", "5_features", "6_xgb",
         "7_blend")  # fmt: skip
SIMULATE = "simulate"
HEAD = ("step", "seconds", "CPU s", "cores busy", "peak GiB", "read GiB", "written GiB",
        "events", "events/s", "exit")  # fmt: skip
NO_COUNTS: Record = {"events": {}, "sessions": {}, "items": None}


def fresh(output: Path) -> None:
    """Empty the folder of an earlier bench; refuse any other that has something in it."""
    if output.exists() and any(output.iterdir()):
        if not (output / "bench.log").exists():
            raise SystemExit(f"{output} is not of an earlier bench; give another --output")
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / "bench.log").touch()


def has_raw(data: Path) -> bool:
    return any(data.glob("train.jsonl*"))


def commands(
    dataset: str, sessions: int, data: Path, output: Path, flags: list[str], last: int = len(STEPS)
) -> list[tuple[str, list[str]]]:
    """Name and command of each process to run."""
    made = ["-m", "src.datasets.demo.simulate", "--sessions", str(sessions), "--out", str(data)]
    where = ["--dataset", dataset, "--input", str(data), "--output", str(output)]
    steps = [(step, [f"{step}.py", *where, *flags]) for step in STEPS[:last]]
    todo = steps if has_raw(data) else [(SIMULATE, made), *steps]
    return [(name, [sys.executable, *command]) for name, command in todo]


def warm_up(dataset: str, flags: list[str], log: Path, last: int) -> None:
    """Run everything on a few sessions, for numba to compile what it does not have compiled."""
    with TemporaryDirectory() as folder:
        data, output = Path(folder) / "in", Path(folder) / "out"
        for name, command in commands(dataset, WARM_UP, data, output, flags, last):
            if code := measure.run(command, log, show=False).code:
                raise SystemExit(f"{name} on {WARM_UP} sessions: {measure.state(code)}; see {log}")


def counted(output: Path) -> Record:
    """Events, sessions and items of the run; nothing where step 1 did not get that far."""
    if not (output / "splits.json").exists():
        return NO_COUNTS
    found: Record = measure.ask("bench.frames", "counts", str(output))
    return found


def with_counts(record: Record, counts: Record) -> Record:
    """The record with the events it is about; the largest split holds all raw events."""
    events = list(counts["events"].values())
    raw = record["step"] in (SIMULATE, STEPS[0])
    of = (max(events) if raw else sum(events)) if events else None
    return {**record, "events": of, "sessions": counts["sessions"], "items": counts["items"]}


def row(record: Record) -> list[str]:
    """A row of the table."""
    seconds, events = record["seconds"], record["events"]
    return [
        record["step"],
        f"{seconds:,.1f}",
        f"{record['cpu_seconds']:,.1f}",
        f"{record['cpu_seconds'] / seconds:.2f}",
        f"{record['peak_gib']:.2f}",
        measure.gib(record["read_bytes"]),
        measure.gib(record["written_bytes"]),
        f"{events:,}" if events else "",
        f"{events / seconds:,.0f}" if events else "",
        measure.state(record["code"]),
    ]


def report(records: list[Record], size: float, counts: Record) -> None:
    """Append the table."""
    facts = [f"size {size}"]
    if counts["events"]:
        of = [f"{split} {events:,}" for split, events in counts["events"].items()]
        sessions, items = max(counts["sessions"].values()), counts["items"]
        facts += [f"events: {', '.join(of)}", f"{sessions:,} sessions", f"{items:,} items"]
    heading = measure.title(records[0], *facts)
    measure.append_table(heading, measure.table(HEAD, map(row, records)))


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Own flags, and those for the steps."""
    parser = argparse.ArgumentParser(
        prog="bench.steps",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--dataset", required=True, help="whose recipe the steps follow")
    parser.add_argument("--size", type=float, default=0.01, help="share of OTTO's sessions (0.01)")
    parser.add_argument("--last", type=int, default=len(STEPS), choices=range(1, len(STEPS) + 1),
                        help="the last step to run (7)")  # fmt: skip
    parser.add_argument("--data", type=Path, help="folder of raw files (input/bench-<size>)")
    parser.add_argument("--output", type=Path, help="folder for results (output/bench-<size>)")
    args, flags = parser.parse_known_args(argv)
    args.data = args.data or Path(f"input/bench-{args.size:g}")
    args.output = args.output or Path(f"output/bench-{args.size:g}")
    return args, flags


def main(argv: list[str]) -> int:
    """Measure all; 1 where a step failed."""
    args, flags = parse(argv)
    fresh(args.output)
    origin, counts = measure.origin(argv, "bench.steps"), NO_COUNTS
    print(f"a warm-up on {WARM_UP:,} sessions ...", flush=True)
    warm_up(args.dataset, flags, args.output / "warm-up.log", args.last)
    sessions = max(10, round(args.size * SESSIONS))
    records: list[Record] = []
    written = 0
    where = args.dataset, sessions, args.data, args.output
    for name, command in commands(*where, flags, args.last):
        done = measure.run(command, args.output / "bench.log")
        print(f"== {name}: {done.seconds:.1f} s, {measure.state(done.code)}", flush=True)
        records.append({**origin, "kind": "step", "step": name, "size": args.size, **done.record()})
        if name == SIMULATE and not done.code:
            continue  # how many events it made is known after step 1
        counts = counted(args.output)
        records = [with_counts(record, counts) for record in records]
        for record in records[written:]:
            measure.append_line(record)
        written = len(records)
        if done.code:
            break
    report(records, args.size, counts)
    return int(records[-1]["code"] != 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
