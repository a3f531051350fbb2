"""Train a net epoch by epoch: a log line each, checkpoints, early stopping."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from src.core import store

Line = dict[str, float]
Log = list[Line]
"""A line per epoch: its number, from 0, the loss and the metrics."""

Progress = Callable[[list[Any], int], Iterable[Any]]
"""Yields the batches of an epoch, given its number, and may show a bar."""


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop, and which epoch to keep, by a metric of the log; a higher one is better."""

    metric: str
    patience: int  # epochs without a better value
    max_epochs: int

    def done(self, log: Log) -> bool:
        """Whether all epochs are over, or the last `patience` ones were not better."""
        values = [line[self.metric] for line in log]
        if not log or len(log) == self.max_epochs:
            return bool(log)
        return len(log) - 1 - values.index(max(values)) >= self.patience

    def best(self, log: Log) -> Line:
        """Line of the epoch to keep: the last one with the highest value; {} of no epochs."""
        return max(reversed(log), key=lambda line: line[self.metric], default={})


class Trainer(Protocol):
    """A net, what it learns from, and its log so far."""

    @property
    def log(self) -> Log: ...

    @property
    def stopping(self) -> EarlyStopping: ...

    @property
    def done(self) -> bool:
        """Whether there is no epoch left to train: `stopping.done(log)`, or no data at all."""

    def epoch(self, progress: Progress) -> Line:
        """Train one epoch; return its line of the log."""

    def keep(self) -> None:
        """Keep the present state as the best so far."""


class Resumable(Trainer, Protocol):
    """A trainer whose state, log included, fits into a file."""

    def save(self, path: Path) -> None: ...

    def load(self, path: Path) -> None: ...


def all_batches(batches: list[Any], epoch: int) -> Iterable[Any]:
    """Yield the batches of an epoch without a bar."""
    return batches


def train_epoch(trainer: Trainer, progress: Progress = all_batches) -> None:
    """Train one epoch, log it, and keep the state where it is the best."""
    line = trainer.epoch(progress)
    trainer.log.append(line)
    if trainer.stopping.best(trainer.log) is line:
        trainer.keep()


def train_in_epochs(
    trainer: Trainer,
    progress: Progress = all_batches,
    after_epoch: Callable[[], object] = lambda: None,
) -> None:
    """Train until all epochs are over, or the last ones were not better."""
    while not trainer.done:
        train_epoch(trainer, progress)
        after_epoch()


@dataclass(frozen=True)
class Checkpoint:
    """A file with the state after an epoch: a killed run resumes from it.

    key: what the state depends on; a checkpoint of another key is not loaded.
    """

    path: Path
    key: dict[str, Any]

    def resume(self, trainer: Resumable) -> None:
        """Load the state, where there is one of this key."""
        if store.fingerprint(self.path) == store.digest(self.key):
            trainer.load(self.path)

    def write(self, trainer: Resumable) -> None:
        """Replace the file by the present state."""
        store.manifest_path(self.path).unlink(missing_ok=True)
        store.build(self.path, self.key, trainer.save)

    def remove(self) -> None:
        """Remove the file: training is over."""
        for file in (self.path, store.manifest_path(self.path)):
            file.unlink(missing_ok=True)


def log_csv(log: Log, float_precision: int | None = None) -> str:
    """Format a log as CSV, a column per entry of its lines."""
    return pl.DataFrame(log).write_csv(float_precision=float_precision)
