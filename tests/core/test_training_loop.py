"""The training loop: when it stops, which epoch it keeps, where a killed run goes on.

pytest tests/core/test_training_loop.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from src.core import store
from src.core.training import (
    Checkpoint,
    EarlyStopping,
    Line,
    Log,
    Progress,
    all_batches,
    log_csv,
    train_in_epochs,
)


class Scripted:
    """A trainer whose metric is written down; its state is the number of epochs so far."""

    def __init__(self, values: list[float], patience: int) -> None:
        self.values, self.stopping = values, EarlyStopping("score", patience, len(values))
        self.log: Log = []
        self.best = 0

    @property
    def done(self) -> bool:
        return self.stopping.done(self.log)

    def epoch(self, progress: Progress = all_batches) -> Line:
        number = len(self.log)
        batches = list(progress([1, 2, 3], number))
        return {"epoch": number, "batches": len(batches), "score": self.values[number]}

    def keep(self) -> None:
        self.best = len(self.log)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps([self.log, self.best]))

    def load(self, path: Path) -> None:
        self.log, self.best = json.loads(path.read_text())


@pytest.mark.parametrize(
    ("values", "patience", "epochs", "best"),
    [
        ([0.1, 0.2, 0.3], 1, 3, 3),
        ([0.3, 0.2, 0.4], 1, 2, 1),  # one epoch that does not help is enough
        ([0.3, 0.2, 0.4], 2, 3, 3),
        ([0.1, 0.4, 0.4, 0.3, 0.9], 2, 4, 3),  # counts from the first of equals, keeps the last
        ([0.1], 5, 1, 1),
    ],
)
def test_early_stopping(values: list[float], patience: int, epochs: int, best: int) -> None:
    trainer = Scripted(values, patience)
    train_in_epochs(trainer)
    assert (len(trainer.log), trainer.best) == (epochs, best)
    assert trainer.stopping.best(trainer.log)["epoch"] == best - 1


def test_nothing_is_best_before_the_first_epoch() -> None:
    stopping = EarlyStopping("score", 1, 9)
    assert stopping.best([]) == {} and not stopping.done([])


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    values, seen = [0.1, 0.2, 0.3, 0.2, 0.1, 0.0], []

    def progress(batches: list[int], epoch: int) -> list[int]:
        seen.append(epoch)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return batches

    checkpoint, other = (Checkpoint(tmp_path / "state", {"rows": n}) for n in (1, 2))
    trainer = Scripted(values, 2)
    with pytest.raises(KeyboardInterrupt):
        train_in_epochs(trainer, progress, lambda: checkpoint.write(trainer))
    again, fresh = Scripted(values, 2), Scripted(values, 2)
    other.resume(fresh)
    assert fresh.log == []
    checkpoint.resume(again)
    assert again.log == trainer.log and len(again.log) == 2
    train_in_epochs(again, progress, lambda: checkpoint.write(again))
    assert seen == [0, 1, 2, 2, 3, 4] and again.best == 3
    store.remove(checkpoint.path)
    assert list(tmp_path.iterdir()) == []


def test_log_as_csv() -> None:
    log = [{"epoch": 0, "score": 1 / 3}, {"epoch": 1, "score": 0.5}]
    assert log_csv(log, float_precision=3) == "epoch,score\n0,0.333\n1,0.500\n"
    assert log_csv(log) == f"epoch,score\n0,{1 / 3}\n1,0.5\n"
