"""Train a net epoch by epoch, with a log, early stopping and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from src.core import store

Line = dict[str, float]
Log = list[Line]
"""A line per epoch: its number (from 0), the loss and the metrics."""

Progress = Callable[[list[Any], int], Iterable[Any]]
"""Given the batches and number of an epoch, yields the batches; may show a bar."""


@dataclass(frozen=True)
class EarlyStopping:
    """Rule for the number of epochs, and for the best one, by a metric that should be high."""

    metric: str
    patience: int  # epochs without a better value
    max_epochs: int

    def done(self, log: Log) -> bool:
        """Whether max_epochs are over, or the last `patience` epochs were not better."""
        values = [line[self.metric] for line in log]
        if not log or len(log) == self.max_epochs:
            return bool(log)
        return len(log) - 1 - values.index(max(values)) >= self.patience

    def best(self, log: Log) -> Line:
        """Return the line of the best epoch, the last one where equal; {} for an empty log."""
        return max(reversed(log), key=lambda line: line[self.metric], default={})


class Trainer(Protocol):
    """A net with its training data and its log."""

    @property
    def log(self) -> Log: ...

    @property
    def stopping(self) -> EarlyStopping: ...

    @property
    def done(self) -> bool:
        """Whether no epoch is left to train: `stopping.done(log)`, or there is no data."""

    def epoch(self, progress: Progress) -> Line:
        """Train one epoch; return its line for the log."""

    def keep(self) -> None:
        """Store the current state as the best so far."""


class Resumable(Trainer, Protocol):
    """A trainer that can save and load its state, including the log."""

    def save(self, path: Path) -> None: ...

    def load(self, path: Path) -> None: ...


def all_batches(batches: list[Any], epoch: int) -> Iterable[Any]:
    """Yield the batches of an epoch without a bar."""
    return batches


def train_epoch(trainer: Trainer, progress: Progress = all_batches) -> None:
    """Train one epoch, log it, and keep the state if it is the best."""
    line = trainer.epoch(progress)
    trainer.log.append(line)
    if trainer.stopping.best(trainer.log) is line:
        trainer.keep()


def train_in_epochs(
    trainer: Trainer,
    progress: Progress = all_batches,
    after_epoch: Callable[[], object] = lambda: None,
) -> None:
    """Train until the trainer is done; call `after_epoch` after every epoch."""
    while not trainer.done:
        train_epoch(trainer, progress)
        after_epoch()


@dataclass(frozen=True)
class Checkpoint:
    """A file with the state after an epoch, from which a killed run resumes.

    key: all that the state depends on. A checkpoint with another key is ignored.
    """

    path: Path
    key: dict[str, Any]

    def resume(self, trainer: Resumable) -> None:
        """Load the state if there is a checkpoint with this key."""
        if store.fingerprint(self.path) == store.digest(self.key):
            trainer.load(self.path)

    def write(self, trainer: Resumable) -> None:
        """Replace the checkpoint with the current state."""
        store.manifest_path(self.path).unlink(missing_ok=True)
        store.build(self.path, self.key, trainer.save)


def log_csv(log: Log, float_precision: int | None = None) -> str:
    """Format a log as CSV, a column per entry of its lines."""
    return pl.DataFrame(log).write_csv(float_precision=float_precision)
