"""Train an embedding with a progress bar per epoch and a checkpoint after each epoch."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from src.core import code
from src.core.run import Run
from src.core.training import Checkpoint, Log, Resumable, log_csv, train_in_epochs
from src.data import paths
from src.embeddings.base import Embedding

TIMED = 20  # batches, from which the time of the training is expected


def train_with_checkpoints(
    run: Run, split: str, row: Embedding, trainer: Resumable, *depends_on: object
) -> None:
    """Train all epochs; resume from a checkpoint of the same row, data and code.

    depends_on: what the training depends on beside them, as for `Embedding.build_files`.
    Prints the time that all epochs would take, from that of the first TIMED batches.
    """
    key = {
        "code": code.version(row, run.engine), "rows": [row, run.recipe.seed, *depends_on],
        "events": run.fingerprint(paths.events(run, split)), "engine": run.engine.name,
    }  # fmt: skip
    checkpoint = Checkpoint(paths.checkpoint(run, split, row.name), key)

    def progress(batches: list[Any], epoch: int) -> Iterable[Any]:
        bar = run.progress(batches, f"{split} {row.name}, epoch {epoch}")
        begin, left = time.perf_counter(), len(batches) * (trainer.stopping.max_epochs - epoch)
        for number, batch in enumerate(bar):
            if number == TIMED and epoch == begun_at:
                minutes = (time.perf_counter() - begin) / TIMED * left / 60
                print(f"{split + ' ' + row.name:<34} trains {minutes:.1f} min at most", flush=True)
            yield batch

    checkpoint.resume(trainer)
    begun_at = len(trainer.log)
    train_in_epochs(trainer, progress, lambda: checkpoint.write(trainer))


def write_log(log: Log, path: Path) -> None:
    """Write a training log as CSV: a line per epoch."""
    path.write_text(log_csv(log, float_precision=6))
