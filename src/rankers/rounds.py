"""Show how far the training of a model is: a bar on a terminal, lines where the output is piped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

from tqdm import tqdm

from src.rankers.base import FitTask


@dataclass
class Rounds:
    """Progress of the rounds, or epochs, of one model; a context manager.

    Folds are trained beside each other, each with a bar on its own line of the terminal.
    """

    task: FitTask
    total: int  # rounds; early stopping cuts them short
    every: int = 50  # rounds for a line in a pipe
    steps: int | None = None  # of the bar; None: one a round
    unit: str = "round"
    bar: tqdm = field(init=False)
    piped: bool = field(init=False)

    def __post_init__(self) -> None:
        total = self.total if self.steps is None else self.steps
        self.bar = tqdm(total=total, desc=str(self.task), position=self.task.fold, leave=False,
                        disable=None, delay=2, mininterval=1.0)  # fmt: skip
        self.piped = bool(self.bar.disable)

    def __enter__(self) -> Rounds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.bar.close()

    def end(self, number: int, metrics: Mapping[str, float]) -> None:
        """Log that a round, counted from 0, has ended; metrics: of the valid rows."""
        if self.piped and (number + 1) % self.every == 0:
            values = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            done = f"{self.unit} {number + 1} of {self.total}"
            print(f"{self.task!s:<34} {done}  {values}", flush=True)
