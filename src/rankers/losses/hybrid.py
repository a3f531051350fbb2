"""Weighted sums of losses, on one scale, with a warm-up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from src.rankers.losses.base import Loss

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Hybrid(Loss):
    """Weighted sum of losses. If balanced, each is divided by its value for equal scores.

    Without that, a sum over the stages of a long list drowns a mean over pairs. A warm-up loss
    fades out, and the terms fade in, over the first steps of the training.
    """

    terms: tuple[tuple[float, Loss], ...] = ()  # weight, loss
    balanced: bool = True
    warm_up: Loss | None = None
    warm_up_share: float = 0.15  # of all steps

    def __post_init__(self) -> None:
        if not self.terms or any(weight < 0 for weight, _ in self.terms):
            raise ValueError("Hybrid: it needs terms (weight, loss), with weights of at least 0")
        if not 0 < self.warm_up_share <= 1:
            raise ValueError("Hybrid: warm_up_share is above 0, and at most 1")

    @property
    def is_of_odds(self) -> bool:
        losses = [*(loss for _, loss in self.terms), self.warm_up]
        return all(loss.is_of_odds for loss in losses if loss is not None)

    def __call__(
        self, scores: Tensor, grades: Tensor, offsets: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """Compute the weighted sum; see Loss."""
        import torch

        return torch.stack(self.parts(scores, grades, offsets, generator)).sum()

    def at(self, progress: float) -> Hybrid:
        """Return the terms of the moment, each at that moment, and the rest of the warm-up."""
        fade = 1.0 if self.warm_up is None else min(1.0, progress / self.warm_up_share)
        terms = tuple((fade * weight, loss.at(progress)) for weight, loss in self.terms)
        if self.warm_up is not None and fade < 1:
            terms += ((1 - fade, self.warm_up.at(progress)),)
        return replace(self, terms=terms, warm_up=None)

    def parts(
        self, scores: Tensor, grades: Tensor, offsets: Tensor, generator: Generator | None = None
    ) -> list[Tensor]:
        """Compute the terms with their weights, one by one."""
        parts = []
        for weight, loss in self.terms:
            value = loss(scores, grades, offsets, generator)
            if self.balanced:
                equal = loss((scores * 0).detach(), grades, offsets, generator)
                value = value / equal.where(equal > 0, 1.0)
            parts.append(weight * value)
        return parts
