"""Train an embedding with a progress bar per epoch and a checkpoint after each epoch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from src.core import code
from src.core.run import Run
from src.core.training import Checkpoint, Log, Resumable, log_csv, train_in_epochs
from src.data import paths
from src.embeddings.base import Embedding


def train_with_checkpoints(run: Run, split: str, row: Embedding, trainer: Resumable) -> None:
    """Train all epochs; resume from a checkpoint of the same row, data and code."""
    key = {
        "code": code.version(row, run.engine), "rows": [row, run.recipe.seed],
        "events": run.fingerprint(paths.events(run, split)), "engine": run.engine.name,
    }  # fmt: skip
    checkpoint = Checkpoint(paths.checkpoint(run, split, row.name), key)

    def progress(batches: list[Any], epoch: int) -> Iterable[Any]:
        return run.progress(batches, f"{split} {row.name}, epoch {epoch}")

    checkpoint.resume(trainer)
    train_in_epochs(trainer, progress, lambda: checkpoint.write(trainer))


def write_log(log: Log, path: Path) -> None:
    """Write a training log as CSV: a line per epoch."""
    path.write_text(log_csv(log, float_precision=6))
