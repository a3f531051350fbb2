"""Write the lists of retrievers on Spark: a shard is a task, which runs the kernels of the CPU.

So the lists have the same bytes. A task reads the events and matrices of its split from the output
folder, which all executors must see. Its Python process keeps them for its next shard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from src.candidates import lists
from src.candidates.base import Retriever
from src.core.run import Run
from src.data.shards import Shard
from src.data.split_data import SplitData
from src.spark.tasks import run_of_task, tasks_at_a_time, write_on_executor

shards_at_a_time = tasks_at_a_time
_latest: list[tuple[Path, str, Retriever, SplitData]] = []  # of the last task of this process


def shard_writer(data: SplitData, row: Retriever) -> Callable[[Shard, Path], None]:
    """Return the function that writes the lists of a shard in a task; threads may call it."""
    run = replace(data.run, output=data.run.output.absolute())

    def write(shard: Shard, path: Path) -> None:
        work = run, tasks_at_a_time(run), data.split, row, shard
        write_on_executor(run, path, partial(_write, *work))

    return write


def _write(run: Run, tasks: int, split: str, row: Retriever, shard: Shard, path: Path) -> None:
    lists.shard_writer(_split_data(run_of_task(run, tasks), split, row), row)(shard, path)


def _split_data(run: Run, split: str, row: Retriever) -> SplitData:
    """Return the data that the last task kept, if it was of this split."""
    for output, of_split, of_row, data in _latest:
        if (output, of_split) == (run.output, split):
            if of_row != row:
                data.drop_unused()
                _latest[:] = [(output, split, row, data)]
            return data
    _latest[:] = [(run.output, split, row, SplitData(run, split))]
    return _latest[0][-1]
