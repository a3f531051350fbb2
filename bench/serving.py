"""Measure `make page`: latency, requests a second, memory, and where the time goes.

    python -m bench.serving --dataset demo [--output output/demo] [--requests 20000]

Needs steps 1 to 7, requirements-page.txt and bench/requirements.txt. The server is one process; the
load comes from another, by Locust (serving_load.py). First 1,000 different sessions of the split of
the submission, asked by one user and then by four; then the same sessions again until --requests
are sent, 5 % of them malformed. Then, in this process, the CPU time of each part of an answer to
300 sessions. Prints the tables, and appends them to bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import numpy as np
import polars as pl
import psutil

from bench import measure
from src.cli import run_of, step_flags
from src.serving.document import answer_of
from src.serving.query import MAX_EVENTS, K, Query
from src.serving.recommender import Recommender, one_thread, ranked

T = TypeVar("T")
SESSIONS, PROFILED, MALFORMED_ONE_IN = 1_000, 300, 20
MALFORMED = (
    "/recommend", "/recommend?events=views:1", "/recommend?events=clicks:-5", "/recommend?k=0",
    "/recommend?events=%27", "/recommend?events=%00%ff", "/recommend?events=1&events=2",
    "/recommend?events=" + "1+" * 600, "/recommend?text=" + "x" * 5_000, "/recommend?events=" +
    "9" * 30_000, "/recommend?path=..%2F..%2Fcv.json", "/nothing", "/items?q=" + "x" * 500,
)  # fmt: skip


class Load(NamedTuple):
    """What one run of the load tool gave; rss: bytes of the server after it."""

    name: str
    milliseconds: np.ndarray
    status: np.ndarray
    seconds: float
    rss: int

    def row(self) -> list[str]:
        """Format the row of a table."""
        of_good = self.milliseconds[self.status == 200]
        p50, p99 = np.percentile(of_good, (50, 99))
        counts = [int((self.status // 100 == kind).sum()) for kind in (2, 4, 5)]
        other = self.status.size - sum(counts)
        return [
            self.name, f"{self.status.size:,}", f"{p50:.1f}", f"{p99:.1f}",
            f"{self.status.size / self.seconds:.0f}", *(f"{n:,}" for n in (*counts, other)),
            measure.gib(self.rss),
        ]  # fmt: skip


def flags(parser: argparse.ArgumentParser) -> None:
    """Add the number of requests."""
    parser.add_argument(
        "--requests", type=int, default=20_000, help="of all loads together (20,000)"
    )


def target_of(of: Recommender, query: Query) -> str:
    """Write a stored session as a request."""
    types, ids = of.run.recipe.types, of.names.ids
    pairs = zip(query.type.tolist(), query.item.tolist(), strict=True)
    given = {"events": " ".join(f"{types[type_]}:{ids[item]}" for type_, item in pairs)}
    return "/recommend?" + urlencode(given | ({"text": query.text} if query.text else {}))


@contextmanager
def server(args: argparse.Namespace) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the page on a free port; yield its address and its process."""
    command = [sys.executable, "-m", "src.tools.page", "--dataset", args.dataset, "--port", "0",
               "--input", str(args.input), "--output", str(args.output)]  # fmt: skip
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        lines = (line for line in child.stdout if line.startswith("http"))
        yield next(lines).split()[0], psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()
        child.stdout.close()


def load(name: str, address: str, process: psutil.Process, targets: list[str], users: int) -> Load:
    """Send the targets by so many users, each one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "targets.txt"
        file.write_text("\n".join(targets))
        found = measure.ask("bench.serving_load", address, str(file), str(users))
    times, status = np.array(found["milliseconds"]), np.array(found["status"])
    return Load(name, times, status, found["seconds"], process.memory_info().rss)


def parts(of: Recommender, queries: list[Query]) -> dict[str, float]:
    """Measure the CPU time of the parts of an answer: milliseconds of a query, the mean."""
    spent: dict[str, float] = {}

    def timed(name: str, make: Callable[[], T]) -> T:
        started = process_time()
        value = make()
        spent[name] = spent.get(name, 0.0) + process_time() - started
        return value

    for query in queries:
        with one_thread():
            timed("query, vectors of the two-tower net", lambda: of.data.take(query))  # noqa: B023
            pool = timed("lists of all retrievers, pool", lambda: of.pool(None))
            batch = timed("features", lambda: of.scorer.batch(of.data, pool))  # noqa: B023
            scores = timed("models", lambda: of.scorer.scores(batch, None))  # noqa: B023
            columns = {"session": batch.pool.session, "item": batch.pool.item}
            table = pl.DataFrame(columns | scores)
            timed("blends", lambda: [ranked(table, final) for final in of.blends.values()])  # noqa: B023
        answer = of.answer(query)
        timed("JSON", lambda: json.dumps(answer_of(of, query, answer, K)))  # noqa: B023
    return {name: 1_000 * seconds / len(queries) for name, seconds in spent.items()}


def measured(args: argparse.Namespace) -> tuple[list[Load], dict[str, float], int]:
    """Measure all; the last number: bytes of the server when it began to listen."""
    of = Recommender(run_of(args, Path(__file__)))
    size = np.diff(of.data.stored.offsets)
    answered = np.flatnonzero((size > 0) & (size <= MAX_EVENTS))
    answered = answered[answered >= of.data.stored.first_query]
    queries = [of.data.stored_query(session) for session in answered[:SESSIONS].tolist()]
    targets = [target_of(of, query) for query in queries]
    long = [
        MALFORMED[n // MALFORMED_ONE_IN % len(MALFORMED)]
        if n % MALFORMED_ONE_IN == 0
        else targets[n % len(targets)]
        for n in range(args.requests - 2 * len(targets))
    ]
    with server(args) as (address, process):
        began = process.memory_info().rss
        loads = [
            load("1 user", address, process, targets, 1),
            load("4 users", address, process, targets, 4),
            load("4 users, 5 % malformed", address, process, long[: len(long) // 4], 4),
            load("the same, going on", address, process, long[len(long) // 4 :], 4),
        ]
    return loads, parts(of, queries[:PROFILED]), began


def main() -> None:
    """Measure, print and append."""
    args: Any = step_flags(__doc__ or "", Path(__file__), more=flags)
    loads, spent, began = measured(args)
    origin = measure.origin(sys.argv[1:], "bench.serving")
    head = ["load", "requests", "p50 ms", "p99 ms", "requests/s", "2xx", "4xx", "5xx", "other",
            "server GiB"]  # fmt: skip
    title = measure.title(origin, f"server {measure.gib(began)} GiB before the first request")
    measure.append_table(title, measure.table(head, [of_load.row() for of_load in loads]))
    rows = [[name, f"{ms:.2f}"] for name, ms in (spent | {"all": sum(spent.values())}).items()]
    head = ["part of an answer", "CPU ms"]
    measure.append_table(measure.title(origin), measure.table(head, rows))


if __name__ == "__main__":
    main()
