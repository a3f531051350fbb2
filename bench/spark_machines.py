"""Start a standalone cluster of Spark on this machine: a master and workers, each of one core."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil

HOST = "127.0.0.1"
START_S = 60  # in which a master or worker starts
LOOK_S = 0.3  # over which the work of workers is compared
CLASSES = "org.apache.spark.deploy"


@dataclass
class Cluster:
    """A master and its workers; folder: of their logs and of what they write on the way."""

    folder: Path
    memory: str  # that a worker may give to executors, like 1g
    address: str = ""
    workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)  # by number

    def add_worker(self) -> None:
        """Start one more worker; return when the master knows it."""
        number = len(list(self.folder.glob("worker-*.log"))) + 1
        options = ["--cores", "1", "--memory", self.memory, "--work-dir", str(self.folder)]
        process, _ = self.started(f"worker-{number}", "worker.Worker",
                                  r"Successfully registered with master (\S+)",
                                  *options, self.address)  # fmt: skip
        self.workers[number] = process

    def started(
        self, name: str, what: str, says: str, *options: str
    ) -> tuple[subprocess.Popen[bytes], str]:
        """Start a process of Spark; return it, and what its log says when it is ready."""
        package = find_spec("pyspark")
        assert package is not None and package.origin is not None
        home, log = Path(package.origin).parent, self.folder / f"{name}.log"
        command = [str(home / "bin" / "spark-class"), f"{CLASSES}.{what}",
                   "--host", HOST, "--port", "0", "--webui-port", "0", *options]  # fmt: skip
        with open(log, "wb") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, stdin=subprocess.DEVNULL,
                env={**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_DIRS": str(self.folder)},
            )  # fmt: skip
        for _ in range(10 * START_S):
            if found := re.search(says, log.read_text(errors="replace")):
                return process, found[1]
            if process.poll() is not None:
                break
            time.sleep(0.1)
        process.kill()
        raise SystemExit(f"{name} did not start; see {log}")

    def busiest_worker(self) -> int:
        """Return the number of the worker whose processes took the most CPU time just now."""
        before = {number: cpu_seconds(process.pid) for number, process in self.workers.items()}
        time.sleep(LOOK_S)
        taken = {n: cpu_seconds(self.workers[n].pid) - seconds for n, seconds in before.items()}
        return max(taken, key=lambda number: taken[number])

    def kill(self, number: int) -> None:
        """Kill a worker with all processes below it, as the end of its machine would."""
        process = self.workers.pop(number)
        for victim in [psutil.Process(process.pid), *below(process.pid)]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        process.wait()


def below(pid: int) -> list[psutil.Process]:
    """List the processes that a process has started, and those that they have."""
    with suppress(psutil.NoSuchProcess):
        return list(psutil.Process(pid).children(recursive=True))
    return []


def cpu_seconds(pid: int) -> float:
    """Sum the CPU seconds of all processes below a process that still run."""
    total = 0.0
    for process in below(pid):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    return total


@contextmanager
def cluster(folder: Path, workers: int, memory: str) -> Iterator[Cluster]:
    """Start a cluster; at the end, or at SIGTERM, end all processes that this one has started."""
    folder.mkdir(parents=True, exist_ok=True)
    made, before = Cluster(folder, memory), signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        says = rf"Starting Spark master at (spark://{HOST}:\d+)"
        _, made.address = made.started("master", "master.Master", says)
        for _ in range(workers):
            made.add_worker()
        yield made
    finally:
        for process in below(os.getpid()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        signal.signal(signal.SIGTERM, before)
