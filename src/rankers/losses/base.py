"""Base classes of the losses of nets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from src.rankers.losses.lists import Lists

MAX_CELLS = 2**22
"""Cells of pairs (lists x longest x longest) that are computed at a time, 16 MiB in float32."""


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

    def at(self, progress: float) -> Loss:
        """Return the row for a moment of the training; progress: from 0 at its start to 1."""
        return self


@dataclass(frozen=True)
class ListLoss(Loss):
    """Mean over lists of the loss of a list.

    A list that says nothing is left out of the mean. A batch without any other list has the loss 0,
    and its gradient is 0.
    """

    quadratic: ClassVar[bool] = False
    """Whether memory grows with the square of a list's length. Then lists of similar lengths are
    computed together; of a large batch a part at a time, again for its gradient."""

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
        import torch
        from torch.utils.checkpoint import checkpoint

        if not self.quadratic:
            return self.values(lists).mean()
        parts = list(_parts(lists))
        if sum(part.count * part.longest**2 for part in parts) <= MAX_CELLS:
            return torch.cat([self.values(part) for part in parts]).mean()
        values = [checkpoint(self.values, part, use_reentrant=False) for part in parts]
        return torch.cat(values).mean()


def _parts(lists: Lists) -> Iterator[Lists]:
    """Yield lists of similar lengths, up to a power of 2, in parts of at most MAX_CELLS."""
    bucket = (lists.size - 1).double().log2().floor()
    for length in sorted(set(bucket.tolist())):
        alike = lists.keep(bucket == length)
        step = max(1, MAX_CELLS // alike.longest**2)
        for first in range(0, alike.count, step):
            yield alike.keep(slice(first, first + step)) if step < alike.count else alike
