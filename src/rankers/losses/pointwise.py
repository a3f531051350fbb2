"""Pointwise losses: each item alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.losses.base import ListLoss

if TYPE_CHECKING:
    from torch import Tensor

    from src.rankers.losses.lists import Lists


@dataclass(frozen=True)
class Pointwise(ListLoss):
    """Mean over the items of a list, of what each item costs alone. Every item says something."""

    def usable(self, lists: Lists) -> Tensor:
        """Return which lists have an item."""
        return lists.size > 0

    def values(self, lists: Lists) -> Tensor:
        """Compute the mean cost of the items of each list."""
        scores = lists.scores.masked_fill(~lists.mask, 0.0)
        cost = self.costs(scores, lists.grades).where(lists.mask, 0.0)
        return cost.sum(1) / lists.size

    def costs(self, scores: Tensor, grades: Tensor) -> Tensor:
        """Compute the cost of each item, of the same shape."""
        raise NotImplementedError


@dataclass(frozen=True)
class BCE(Pointwise):
    """Binary cross-entropy: -ln(sigmoid(s)) of relevant items, -ln(1 - sigmoid(s)) of others."""

    threshold: float = 0.0  # items of higher grades are relevant

    @property
    def is_of_odds(self) -> bool:
        return True

    def costs(self, scores: Tensor, grades: Tensor) -> Tensor:
        """Compute the cross-entropy of each item."""
        import torch

        relevant = (grades > self.threshold).to(scores.dtype)
        return torch.nn.functional.binary_cross_entropy_with_logits(
            scores, relevant, reduction="none"
        )


@dataclass(frozen=True)
class SquaredError(Pointwise):
    """Square of score minus grade."""

    def costs(self, scores: Tensor, grades: Tensor) -> Tensor:
        """Compute the squared error of each item."""
        return (scores - grades).square()
