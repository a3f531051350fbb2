"""Start a standalone cluster of Spark on this machine: a master and workers, each of one core."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil

HOST = "127.0.0.1"
START_S = 60  # in which a master or worker starts
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

    def worker_of(self, executor: str) -> int | None:
        """Return the number of the worker that runs an executor of the only application."""
        for number, process in self.workers.items():
            for child in below(process.pid):
                with suppress(psutil.NoSuchProcess):
                    if f" --executor-id {executor} " in " ".join(child.cmdline()):
                        return number
        return None

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


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        return int(listening.getsockname()[1])


def busy_executor(port: int) -> str | None:
    """Ask an application, whose page has that port, for an executor on which a task runs."""
    with suppress(OSError, ValueError):  # not there yet, or there no more
        for application in ask(port, "applications"):
            for executor in ask(port, f"applications/{application['id']}/executors"):
                if executor["activeTasks"]:
                    return str(executor["id"])
    return None


def ask(port: int, what: str) -> list[dict[str, Any]]:
    """Get a list of Spark's API."""
    with urlopen(f"http://{HOST}:{port}/api/v1/{what}", timeout=START_S) as answer:
        return list(json.load(answer))


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
