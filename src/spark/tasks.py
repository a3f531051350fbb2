"""Run functions of this repository as tasks of Spark, on whatever machine has room."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TypeVar

import polars as pl
from pyspark import TaskContext

from src.core.budget import Budget, free_memory
from src.core.run import Run
from src.core.store import removed_on_error
from src.spark.session import LOCAL_HEAP, SHARED, one_line_errors, session

T = TypeVar("T")
OF_A_USER = (ValueError, OSError, MemoryError, pl.exceptions.PolarsError)


def on_executor(run: Run, work: Callable[[], T]) -> T:
    """Return work(), which runs as a task of its own; threads may call this at the same time.

    work: a function of a module, with its arguments in a `partial`. Errors of a user are raised
    here, as they were there.
    """

    def task(_: int) -> T | Exception:
        with redirect_stdout(StringIO()):
            try:
                return work()
            except OF_A_USER as error:
                return error

    one = session(run).sparkContext.parallelize([0], 1)
    with one_line_errors():
        (result,) = one.map(task).collect()
    if isinstance(result, FileNotFoundError):
        raise ValueError(f"an executor found no file or folder ({result}); {SHARED}")
    if isinstance(result, Exception):
        raise result
    return result


def write_on_executor(run: Run, path: Path, make: Callable[[Path], T]) -> T:
    """Write a file with make(temporary path) in a task of its own; return what `make` returns.

    Spark may start a task again that still runs, on a machine that is slow or out of reach. So each
    attempt has its own file, and only that of the attempt that counts gets the name.
    """
    path = path.absolute()
    try:
        attempt, result = on_executor(run, partial(_attempt, path, make))
        os.replace(attempt, path)
    finally:
        for left in path.parent.glob(f"{path.name}.*"):
            left.unlink(missing_ok=True)
    return result


def _attempt(path: Path, make: Callable[[Path], T]) -> tuple[Path, T]:
    context = TaskContext.get()
    assert context is not None
    attempt = path.with_name(f"{path.name}.{context.taskAttemptId()}")
    with removed_on_error(attempt):
        return attempt, make(attempt)


def run_of_task(run: Run, tasks: int) -> Run:
    """Return the run as a task sees it: one thread, and its share of the free memory.

    tasks: that run at the same time, on one machine at the worst.
    """
    share = min(run.budget.memory, free_memory()) * (1 - LOCAL_HEAP) / tasks
    return replace(
        run, engine=replace(run.engine, threads=1), budget=Budget(int(share), run.output)
    )


def tasks_at_a_time(run: Run) -> int:
    """Return how many tasks the executors run at the same time, at least 2."""
    return max(2, session(run).sparkContext.defaultParallelism)
