"""Measure a child process, and append results to bench/RESULTS.md and bench/results.jsonl.

Seconds are wall time from start to exit. CPU seconds are user and system time of all threads. The
peak is the largest resident size (VmHWM), with file pages that are mapped. Bytes read came from
storage, not from the page cache. Bytes written changed a page of a file, which may not be on disk
yet. Both are Linux's read_bytes and write_bytes, from `wait4` at exit.

A child's peak starts at the size of the process that starts the child. So a process that measures
imports the standard library only, and starts other children (`ask`) for everything else.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event, Thread, Timer
from time import perf_counter
from typing import Any, TextIO

HERE = Path(__file__).resolve().parent
RESULTS, LINES = HERE / "RESULTS.md", HERE / "results.jsonl"
Record = dict[str, Any]
LOOK_S = 2.0  # between two looks at a running process


@dataclass(frozen=True)
class Measured:
    """Resources of one process; code: its exit code, or minus the signal that ended it."""

    code: int
    seconds: float
    cpu_seconds: float
    peak_gib: float
    read_bytes: int
    written_bytes: int
    last_line: str

    def record(self) -> Record:
        fields = asdict(self)
        del fields["last_line"]
        return fields


Look = Callable[[Measured], object]


def run(
    command: Sequence[str], log: Path, timeout: float | None = None, show: bool = True,
    look: Look | None = None,
) -> Measured:  # fmt: skip
    """Run a command to its end, killed after `timeout` seconds; append its output to the log.

    look: called every LOOK_S seconds with what the process has used so far; needs Linux.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    last = ""
    with open(log, "a", encoding="utf-8") as file:
        outputs = [file, sys.stdout] if show else [file]
        _write(f"$ {shlex.join(command)}\n", outputs)
        start = perf_counter()
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        assert child.stdout is not None
        timer = Timer(timeout or 0, child.kill)
        if timeout:
            timer.start()
        with child.stdout, _looks(child.pid, look):
            for text in child.stdout:
                _write(text, outputs)
                last = text
        _, status, usage = os.wait4(child.pid, 0)
        seconds = perf_counter() - start
        timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    unit = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss: bytes there, KiB on Linux
    return Measured(
        code=child.returncode,
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_gib=usage.ru_maxrss / unit,
        read_bytes=usage.ru_inblock * 512,
        written_bytes=usage.ru_oublock * 512,
        last_line=last,
    )


@contextmanager
def _looks(pid: int, look: Look | None) -> Iterator[None]:
    """Look at a running process from time to time."""
    start, ended = perf_counter(), Event()

    def watch(look: Look) -> None:
        while not ended.wait(LOOK_S):
            try:
                so_far = _so_far(pid, perf_counter() - start)
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                return
            look(so_far)

    if look is None:
        yield
        return
    thread = Thread(target=watch, args=(look,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _so_far(pid: int, seconds: float) -> Measured:
    """Return what a process and its ended children have used, as if it were killed now."""
    proc = Path(f"/proc/{pid}")
    ticks = (proc / "stat").read_text().rpartition(")")[2].split()[11:15]
    facts = (proc / "status").read_text() + (proc / "io").read_text()
    value = {name: text.split() for name, _, text in (x.partition(":") for x in facts.split("\n"))}
    if "VmHWM" not in value:  # it has ended, but is still there
        raise ProcessLookupError(pid)
    return Measured(
        code=-signal.SIGKILL,
        seconds=seconds,
        cpu_seconds=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        peak_gib=int(value["VmHWM"][0]) / 2**20,
        read_bytes=int(value["read_bytes"][0]),
        written_bytes=int(value["write_bytes"][0]),
        last_line="",
    )


def _write(text: str, files: Iterable[TextIO]) -> None:
    for file in files:
        file.write(text)
        file.flush()


def versions(*packages: str) -> str:
    """List packages with the versions that are installed."""
    texts = []
    for name in packages:
        try:
            texts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            texts.append(f"no {name}")
    return ", ".join(texts)


def ask(module: str, *arguments: str) -> Any:
    """Run a module of bench/ in a process that is not measured; return the JSON that it prints."""
    command = [sys.executable, "-m", module, *arguments]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def machine() -> Record:
    """Describe this machine: CPU model, cores and memory."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [t for t in cpuinfo.read_text().splitlines() if t.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": model, "cores": os.cpu_count(), "ram_gib": round(ram, 1)}


def commit() -> str:
    """Name the current commit, with `+changes` if files other than the results differ from it."""
    results = [f":(exclude)bench/{path.name}" for path in (RESULTS, LINES)]
    changes = _git("status", "--porcelain", "--", ".", *results)
    return _git("rev-parse", "--short", "HEAD") + ("+changes" if changes else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(HERE.parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or ""


def origin(argv: Sequence[str], module: str) -> Record:
    """Record the origin of numbers: command, commit, date and machine."""
    command = shlex.join(["python", "-m", module, *argv])
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"command": command, "commit": commit(), "date": date, "machine": machine()}


def title(record: Record, *facts: str) -> str:
    """Format the line above a table: the origin, then further facts."""
    m = record["machine"]
    where = f"{m['cpu']}, {m['cores']} cores, {m['ram_gib']} GiB"
    return "; ".join(
        [f"`{record['command']}` at {record['commit']}, {record['date']}, {where}", *facts]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a Markdown table; the first column is left-aligned, the others right."""
    lines: list[Sequence[object]] = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def append_table(heading: str, text: str, results: Path = RESULTS) -> None:
    """Print a table and append it to RESULTS.md."""
    print(f"\n{heading}\n\n{text}\n", flush=True)
    with open(results, "a", encoding="utf-8") as file:
        file.write(f"{heading}\n\n{text}\n\n")


def append_line(record: Record, lines: Path = LINES) -> None:
    """Append a record to results.jsonl."""
    with open(lines, "a", encoding="utf-8") as file:
        file.write(json.dumps(record, sort_keys=True) + "\n")


def read_lines(lines: Path = LINES) -> list[Record]:
    """Read all records of results.jsonl, oldest first."""
    return [json.loads(text) for text in lines.read_text().splitlines()] if lines.exists() else []


def gib(size: float) -> str:
    return f"{size / 2**30:.2f}"


def state(code: int) -> str:
    """Describe an exit code."""
    if code == -9:
        return "KILLED (memory or timeout)"
    return "ok" if code == 0 else f"FAILED ({code})"
