"""Run steps on a cluster of two workers, kill one in the middle, and compare all files.

    python -m bench.spark_cluster --dataset demo [--last 3] [--kill 2 3] [--output folder] [flags]

Needs Java and pyspark; SPARK_CONF is that of `make`. All processes run on this machine: a master,
two workers of one core and --memory, and the executors that they start. The steps run twice, with
--engine cpu to <output>/cpu, then with --engine spark to <output>/spark; flags that are not listed
go to them. When a step of --kill has written half of its files, a worker on which a task runs, as
the application says, is killed (signal 9) with its executor and their Python; another worker starts
before the next step. Each step is an application of its own.

Prints a table and appends it to bench/RESULTS.md: seconds of the steps, what the applications say
about their tasks (bench/spark_log.py), and whether all files have the same bytes. All output is in
<output>/bench.log. Returns 1 if a step failed or a file differs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from filecmp import cmp
from pathlib import Path
from threading import Event, Thread

from bench import measure, spark_log
from bench.measure import Record
from bench.spark_machines import HOST, Cluster, busy_executor, cluster, free_port
from bench.steps import STEPS, fresh

WORKERS = 2
LOOK_S = 0.05  # between two looks for a running task
COMPARED = (".parquet", ".npy", ".csv", ".ubj", ".pt")
GIVEN = os.environ.get("SPARK_CONF", "")
HEAD = ("step", "cpu s", "cluster s", "killed after", "executors lost", "tasks", "tasks lost",
        "refetched", "shuffled MB", "files", "other bytes", "exit")  # fmt: skip


@dataclass
class Killer:
    """Kills a worker on which a task runs when half of the files of a step are there."""

    machines: Cluster
    port: int  # of the application's page
    files: list[Path]
    done: Event = field(default_factory=Event)  # set when the step has ended
    after: int | None = None  # files that were there when it killed

    def watch(self) -> None:
        """Wait for a task in the second half, or for the end of the step."""
        while not self.done.wait(LOOK_S):
            if self.found() < len(self.files) / 2:
                continue
            executor = busy_executor(self.port)
            number = self.machines.worker_of(executor) if executor else None
            if number is not None:
                self.machines.kill(number)
                self.after = self.found()
                return

    def found(self) -> int:
        return sum(file.exists() for file in self.files)


def results(output: Path) -> list[Path]:
    """List the files of a run that are to be compared, within its folder."""
    found = (path.relative_to(output) for path in output.rglob("[!.]*") if path.is_file())
    kept = (path for path in found if path.suffix in COMPARED and path.parts[0] != "logs")
    return sorted(path for path in kept if path.name != "experiments.csv")


def command(step: str, output: Path, engine: str, flags: Sequence[str]) -> list[str]:
    return [sys.executable, f"{step}.py", "--output", str(output), "--engine", engine, *flags]


def on_cpu(steps: Sequence[str], output: Path, flags: list[str]) -> list[Record]:
    """Run steps with the engine of the CPU; record the seconds and files of each."""
    records, before = list[Record](), set[Path]()
    for step in steps:
        done = measure.run(command(step, output / "cpu", "cpu", flags), output / "bench.log")
        if done.code:
            raise SystemExit(f"{step} with --engine cpu: {measure.state(done.code)}")
        files = [path for path in results(output / "cpu") if path not in before]
        before.update(files)
        records.append({"step": step, "cpu_engine_seconds": done.seconds, "files": files})
    return records


def on_cluster(
    record: Record, machines: Cluster, output: Path, kill: bool, flags: list[str]
) -> Record:
    """Run a step with the engine of Spark; kill a worker in the middle, if so asked."""
    step = record["step"]
    files = [output / "spark" / path for path in record["files"]]
    events = machines.folder / f"events-{step}"
    events.mkdir()
    page = {"spark.ui.enabled": "true", "spark.ui.port": str(port := free_port())}
    conf = {"spark.executor.memory": machines.memory, **page, **spark_log.settings(events)}
    given = [f"{key}={value}" for key, value in conf.items()]
    os.environ["SPARK_CONF"] = " ".join([*given, GIVEN])
    killer = Killer(machines, port, files)
    watching = Thread(target=killer.watch, daemon=True)
    if kill:
        watching.start()
    done = measure.run(command(step, output / "spark", "spark", flags), output / "bench.log")
    killer.done.set()
    if kill:
        watching.join()
    if killer.after is not None:
        machines.add_worker()
    pairs = zip(files, record["files"], strict=True)
    other = [str(own) for path, own in pairs if not same(path, output / "cpu" / own)]
    facts = {"killed_after": killer.after, "files": len(files), "other": other}
    return record | done.record() | spark_log.summed(events) | facts


def same(path: Path, right: Path) -> bool:
    """Whether two files have the same bytes."""
    return path.exists() and cmp(path, right, shallow=False)


def row(record: Record) -> list[str]:
    """Format a row of the table."""
    killed = record["killed_after"]
    counts = ("executors_lost", "tasks", "tasks_lost", "tasks_refetched")
    lost, *tasks = (f"{record.get(name, 0):,}" for name in counts)
    return [
        record["step"],
        f"{record['cpu_engine_seconds']:,.0f}",
        f"{record['seconds']:,.0f}",
        "" if killed is None else f"{killed} of {record['files']} files",
        lost,
        *tasks,
        f"{record.get('shuffled', 0) / 1e6:,.1f}",
        f"{record['files']:,}",
        ", ".join(record["other"][:3]) or "none",
        measure.state(record["code"]),
    ]


def main(argv: list[str]) -> int:
    """Run all steps on both engines; return 1 if a step failed or a file differs."""
    parser = argparse.ArgumentParser(prog="bench.spark_cluster", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter,
                                     allow_abbrev=False)  # fmt: skip
    parser.add_argument("--last", type=int, default=3, help="the last step to run (3)")
    parser.add_argument("--kill", type=int, nargs="*", default=[2, 3],
                        help="steps in whose middle a worker is killed (2 3)")  # fmt: skip
    parser.add_argument("--memory", default="1g", help="of a worker, for its executor (1g)")
    parser.add_argument("--output", type=Path, default=Path("output/bench-cluster"))
    args, flags = parser.parse_known_args(argv)
    fresh(args.output)
    origin, steps = measure.origin(argv, "bench.spark_cluster"), STEPS[: args.last]
    records, done = on_cpu(steps, args.output, flags), list[Record]()
    with cluster(args.output.absolute() / "cluster", WORKERS, args.memory) as machines:
        os.environ |= {"SPARK_MASTER": machines.address, "SPARK_LOCAL_IP": HOST}
        for record in records:
            kill = int(record["step"][0]) in args.kill
            done.append(on_cluster(record, machines, args.output, kill, flags))
            measure.append_line({**origin, "kind": "cluster", **done[-1]})
            if done[-1]["code"]:
                break
    facts = (f"{WORKERS} workers of 1 core and {args.memory}", f"SPARK_CONF={GIVEN}",
             measure.versions("pyspark", "polars"))  # fmt: skip
    measure.append_table(measure.title(origin, *facts), measure.table(HEAD, map(row, done)))
    return int(any(record["code"] or record["other"] for record in done))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
