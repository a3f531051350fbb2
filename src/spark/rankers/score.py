"""Score the candidates of a split on Spark: a shard is a task, which runs the kernels of the CPU.

So the scores have the same bytes. A task reads the models, and what their features read, from the
output folder, which all executors must see. Its Python process keeps them for its next shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from src.core.run import Run
from src.data.shards import Shard
from src.data.split_data import SplitData
from src.rankers import score
from src.rankers.train import Target
from src.spark.tasks import run_of_task, tasks_at_a_time, write_on_executor


class Scorer(NamedTuple):
    """What a task needs to make its own scorer."""

    run: Run
    tasks: int  # that run at the same time
    split: str
    targets: Sequence[Target]
    models: tuple[str | None, ...]  # fingerprints of their files

    @property
    def key(self) -> tuple[object, ...]:
        return self.run.output, self.split, self.models


_latest: list[tuple[tuple[object, ...], score.SplitScorer]] = []  # of the last task of this process


class SplitScorer(score.SplitScorer):
    """Builds the score files of a split, as many at a time as there are tasks."""

    @property
    def shards_at_a_time(self) -> int:
        return tasks_at_a_time(self.run)

    def write(self, shard: Shard, path: Path) -> None:
        """Write the scores of a shard in a task; threads may call it."""
        write_on_executor(self.run, path, partial(_write, self._of_task, shard))

    @cached_property
    def _of_task(self) -> Scorer:
        run = replace(self.run, output=self.run.output.absolute())
        for group in run.recipe.features:
            group.prepare(self.data)  # a task has no Spark of its own
        models = [run.fingerprint(f) for target in self.targets for f in target.models(run)]
        return Scorer(run, self.shards_at_a_time, self.data.split, self.targets, tuple(models))


def _write(of_task: Scorer, shard: Shard, path: Path) -> None:
    if not _latest or _latest[0][0] != of_task.key:
        data = SplitData(run_of_task(of_task.run, of_task.tasks), of_task.split)
        _latest[:] = [(of_task.key, score.SplitScorer(data, of_task.targets))]
    _latest[0][1].write(shard, path)
