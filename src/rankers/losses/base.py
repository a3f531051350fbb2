"""Base classes of the losses of nets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from src.rankers.losses.lists import Lists


@dataclass(frozen=True)
class Loss(ABC):
    """Loss of the scores of lists, whose items have grades: a row of a recipe.

    A kind is a subclass in a module of this folder. Modules of rows import torch where they
    compute: reading a recipe does not load it.
    """

    @abstractmethod
    def __call__(
        self, scores: Tensor, grades: Tensor, offsets: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """Compute the loss of a batch of lists: a scalar, float32 at least.

        scores: (rows). grades: (rows), from 0. offsets: first row of each list and the end, int64
        (lists + 1). generator: of the CPU; the same state gives the same draws on any device.
        Raises ValueError where a loss draws and has no generator.
        """

    @property
    def is_of_odds(self) -> bool:
        """Whether scores, or their differences, are log-odds: the draw is corrected."""
        return False

    def at(self, progress: float) -> Loss:
        """Return the row for a moment of the training; progress: from 0 at its start to 1."""
        return self


@dataclass(frozen=True)
class ListLoss(Loss):
    """Mean over lists of the loss of a list.

    A list that says nothing is left out of the mean. A batch without any other list has the loss 0,
    and its gradient is 0.
    """

    def __call__(
        self, scores: Tensor, grades: Tensor, offsets: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """Compute the mean over the lists that say something; see Loss."""
        import torch

        with torch.autocast(scores.device.type, enabled=False):
            lists = self.lists(scores, grades, offsets, generator)
            usable = self.usable(lists)
            if not usable.all():
                lists = lists.keep(usable)
            return self.mean(lists) if lists.count else (lists.scores * 0).sum()

    @property
    def quadratic(self) -> bool:
        """Whether memory grows with the square of a list's length; see mean_in_parts."""
        return False

    @property
    def draws(self) -> int:
        """Number of uniform draws per row and call."""
        return 0

    def lists(
        self, scores: Tensor, grades: Tensor, offsets: Tensor, generator: Generator | None
    ) -> Lists:
        """Pad ragged lists, and draw what the loss needs; see __call__."""
        import torch

        from src.rankers.losses.lists import Lists

        noise = torch.zeros(len(scores), self.draws, dtype=torch.float64)
        if self.draws and generator is None:
            raise ValueError(f"{self} draws: pass a torch.Generator")
        if self.draws:
            noise = noise.uniform_(generator=generator)
        return Lists.of(scores, grades, offsets, noise.to(scores.device))

    def usable(self, lists: Lists) -> Tensor:
        """Return which lists say something, bool (lists): here those whose grades differ."""
        return lists.highest > lists.lowest

    @abstractmethod
    def values(self, lists: Lists) -> Tensor:
        """Compute the loss of each list: (lists). All lists are usable."""

    def mean(self, lists: Lists) -> Tensor:
        """Compute the mean of the values of usable lists; at least one is there."""
        from src.rankers.losses.parts import mean_in_parts

        return mean_in_parts(self.values, lists) if self.quadratic else self.values(lists).mean()
