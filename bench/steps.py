"""Measure every step at one size: seconds, CPU, peak memory, bytes, and events per second.

    python -m bench.steps --dataset otto --size 0.01 [--last 3] [--go-on] [--data folder]
                          [--output folder]

The size is a share of OTTO's 12,899,779 train sessions. Raw files are simulated if the data folder
has none; this is measured too. Flags that are not listed go to the steps. Each step is a process of
its own, and the output folder is emptied before. All steps run on 2,000 sessions first, to compile
numba's kernels. The page cache is not cleared. A step that fails is reported and ends the run.

--go-on keeps the output folder: steps that ended are not run again, and a step that was killed goes
on. Its row sums the seconds of all its runs, so a long bench can be run in parts. Runs lie in
<output>/bench.jsonl. One that was killed together with the bench counts up to its last two seconds.

Events are those of the raw files for the simulation and step 1, and those of all splits for other
steps. The disk is the output folder at its largest while a step runs, with files that have no name;
other writers on that disk count too. Prints a table and appends it to bench/RESULTS.md. Appends a
line per step to bench/results.jsonl, and all output of the steps to <output>/bench.log.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import measure
from bench.measure import Measured, Record

SESSIONS = 12_899_779  # of OTTO's train file
WARM_UP = 2_000  # sessions
STEPS = ("1_preparation", "2_matrices", "3_candidates", "4_embeddings", "5_features", "6_xgb",
         "7_blend")  # fmt: skip
SIMULATE = "simulate"
HEAD = ("step", "seconds", "CPU s", "cores busy", "peak GiB", "read GiB", "written GiB",
        "disk GiB", "runs", "events", "events/s", "exit")  # fmt: skip
SUMMED = ("seconds", "cpu_seconds", "read_bytes", "written_bytes")  # over the runs of a step
LARGEST = ("peak_gib", "disk_bytes")
NO_COUNTS: Record = {"events": {}, "sessions": {}, "items": None}


def fresh(output: Path) -> None:
    """Empty the folder of an earlier bench; raise SystemExit for any other folder with files."""
    if output.exists() and any(output.iterdir()):
        if not (output / "bench.log").exists():
            raise SystemExit(f"{output} is not of an earlier bench; give another --output")
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / "bench.log").touch()


def runs_file(output: Path) -> Path:
    return output / "bench.jsonl"


def running_file(output: Path) -> Path:
    return output / "bench-running.json"


def keep(run: Record, output: Path) -> None:
    """Add a run to those of the bench; it runs no longer."""
    measure.append_line(run, runs_file(output))
    running_file(output).unlink(missing_ok=True)


def former_runs(output: Path, go_on: bool, settings: Record) -> list[Record]:
    """Read the runs of an earlier bench to go on with; else empty the folder.

    settings: what all runs of a bench have in common. Raises SystemExit where a run has others.
    """
    if not go_on or not (output / "bench.log").exists():
        fresh(output)
        return []
    for run in measure.read_lines(running_file(output)):  # the bench was killed with its step
        keep(run, output)
    runs = measure.read_lines(runs_file(output))
    for name, value in settings.items():
        if other := [run[name] for run in runs if run.get(name, value) != value]:
            raise SystemExit(f"{output} has a bench of {name} {other[0]}; give another --output")
    return runs


def folder_size(folder: Path) -> int:
    """Sum the bytes on disk of all files in a folder."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def measured(command: list[str], output: Path, facts: Record) -> Record:
    """Run a step; return its record, which lies in running_file(output) while the step runs."""
    size, before = folder_size(output), shutil.disk_usage(output).used
    largest, running = size, running_file(output)

    def look(so_far: Measured) -> None:
        nonlocal largest
        largest = max(largest, size + shutil.disk_usage(output).used - before)
        part = running.with_suffix(".part")
        part.write_text(json.dumps(facts | so_far.record() | {"disk_bytes": largest}))
        part.replace(running)

    ended = measure.run(command, output / "bench.log", look=look)
    print(f"== {facts['step']}: {ended.seconds:.1f} s, {measure.state(ended.code)}", flush=True)
    return facts | ended.record() | {"disk_bytes": max(largest, folder_size(output))}


def summed(runs: list[Record]) -> list[Record]:
    """Sum the runs of each step; what is not a sum is that of its last run."""
    steps: dict[str, list[Record]] = {}
    for run in runs:
        steps.setdefault(run["step"], []).append(run)
    return [
        of_step[-1]
        | {name: sum(run[name] for run in of_step) for name in SUMMED}
        | {name: max(run[name] for run in of_step) for name in LARGEST}
        | {"runs": len(of_step)}
        for of_step in steps.values()
    ]


def has_raw(data: Path) -> bool:
    return any(data.glob("train.jsonl*"))


def commands(
    dataset: str, sessions: int, data: Path, output: Path, flags: list[str], last: int = len(STEPS)
) -> list[tuple[str, list[str]]]:
    """List the name and the command of each process to run."""
    simulate = ["-m", "src.datasets.demo.simulate", "--sessions", str(sessions), "--out", str(data)]
    shared = ["--dataset", dataset, "--input", str(data), "--output", str(output)]
    steps = [(step, [f"{step}.py", *shared, *flags]) for step in STEPS[:last]]
    todo = steps if has_raw(data) else [(SIMULATE, simulate), *steps]
    return [(name, [sys.executable, *command]) for name, command in todo]


def warm_up(dataset: str, flags: list[str], log: Path, last: int) -> None:
    """Run all processes on a few sessions, so that numba compiles its kernels."""
    with TemporaryDirectory() as folder:
        data, output = Path(folder) / "in", Path(folder) / "out"
        for name, command in commands(dataset, WARM_UP, data, output, flags, last):
            if code := measure.run(command, log, show=False).code:
                raise SystemExit(f"{name} on {WARM_UP} sessions: {measure.state(code)}; see {log}")


def counted(output: Path) -> Record:
    """Count the events, sessions and items of the run; NO_COUNTS if step 1 has not ended."""
    if not (output / "splits.json").exists():
        return NO_COUNTS
    counts: Record = measure.ask("bench.frames", "counts", str(output))
    return counts


def with_counts(record: Record, counts: Record) -> Record:
    """Add the counts to a record; the raw events are those of the largest split."""
    events = list(counts["events"].values())
    raw = record["step"] in (SIMULATE, STEPS[0])
    n_events = (max(events) if raw else sum(events)) if events else None
    return {**record, "events": n_events, "sessions": counts["sessions"], "items": counts["items"]}


def row(record: Record) -> list[str]:
    """Format a row of the table."""
    seconds, events = record["seconds"], record["events"]
    return [
        record["step"],
        f"{seconds:,.1f}",
        f"{record['cpu_seconds']:,.1f}",
        f"{record['cpu_seconds'] / seconds:.2f}",
        f"{record['peak_gib']:.2f}",
        measure.gib(record["read_bytes"]),
        measure.gib(record["written_bytes"]),
        measure.gib(record["disk_bytes"]),
        str(record["runs"]),
        f"{events:,}" if events else "",
        f"{events / seconds:,.0f}" if events else "",
        measure.state(record["code"]),
    ]


def report(origin: Record, records: list[Record], size: float, counts: Record) -> None:
    """Print and append the table."""
    facts = [f"size {size}"]
    if counts["events"]:
        events = [f"{split} {n:,}" for split, n in counts["events"].items()]
        sessions, items = max(counts["sessions"].values()), counts["items"]
        facts += [f"events: {', '.join(events)}", f"{sessions:,} sessions", f"{items:,} items"]
    commits = ", ".join(dict.fromkeys(record["commit"] for record in records))
    heading = measure.title(origin | {"commit": commits}, *facts)
    measure.append_table(heading, measure.table(HEAD, map(row, records)))


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse the flags of the bench; return those for the steps unparsed."""
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
    parser.add_argument("--go-on", action="store_true",
                        help="go on with the bench in the output folder")  # fmt: skip
    parser.add_argument("--data", type=Path, help="folder of raw files (input/bench-<size>)")
    parser.add_argument("--output", type=Path, help="folder for results (output/bench-<size>)")
    args, flags = parser.parse_known_args(argv)
    args.data = args.data or Path(f"input/bench-{args.size:g}")
    args.output = args.output or Path(f"output/bench-{args.size:g}")
    return args, flags


def main(argv: list[str]) -> int:
    """Measure all processes; return 1 if one failed."""
    args, flags = parse(argv)
    settings = {"size": args.size, "dataset": args.dataset, "flags": flags}
    runs = former_runs(args.output, args.go_on, settings)
    origin, done = measure.origin(argv, "bench.steps"), {r["step"] for r in runs if not r["code"]}
    print(f"a warm-up on {WARM_UP:,} sessions ...", flush=True)
    warm_up(args.dataset, flags, args.output / "warm-up.log", args.last)
    sessions = max(10, round(args.size * SESSIONS))
    unwritten: set[str] = set()  # steps that are not in results.jsonl yet
    todo = commands(args.dataset, sessions, args.data, args.output, flags, args.last)
    for name, command in todo:
        if name in done:
            continue
        facts = origin | settings | {"kind": "step", "step": name}
        runs.append(measured(command, args.output, facts))
        keep(runs[-1], args.output)
        unwritten.add(name)
        if name == SIMULATE and not runs[-1]["code"]:
            continue  # step 1 counts its events
        counts = counted(args.output)
        for record in summed(runs):
            if record["step"] in unwritten:
                measure.append_line(with_counts(record, counts))
        unwritten.clear()
        if runs[-1]["code"]:
            break
    counts = counted(args.output)
    report(origin, [with_counts(r, counts) for r in summed(runs)], args.size, counts)
    return int(runs[-1]["code"] != 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
