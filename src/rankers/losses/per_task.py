"""The loss of a multi-task net: that of each task on the rows whose label is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.losses.base import Loss

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class PerTask(Loss):
    """Weighted sum over tasks of a loss, each on the rows that have a label for the task.

    Rows without one are left out of the lists of the task: they have no part in its loss, and
    their gradient is exactly 0. A task counts by its weight times the share of the batch's rows
    that have its label: two labels of a rare task do not weigh as much as all of a common one.
    """

    loss: Loss
    weights: tuple[float, ...]  # of the tasks

    def __call__(
        self, scores: Tensor, grades: Tensor, offsets: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """Compute the sum; see Loss. scores, grades: (rows, tasks), NaN where no grade is known."""
        total = scores.new_zeros(())
        for task, weight in enumerate(self.weights):
            known = ~grades[:, task].isnan()
            ends = offsets.new_zeros(len(known) + 1)
            ends[1:] = known.cumsum(0)
            of_task = scores[known, task], grades[known, task], ends[offsets]
            share = known.sum() / max(1, len(known))
            total = total + weight * share * self.loss(*of_task, generator)
        return total
