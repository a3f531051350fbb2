"""Gains, discounts and ideals of DCG on tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from src.rankers.losses.lists import Lists

Gain = Literal["exp", "linear"]
"""2 ** grade - 1, or the grade."""


def gains_of(grades: Tensor, gain: Gain) -> Tensor:
    """Return the gain of each grade; pads have grade 0 and gain 0."""
    return grades.exp2() - 1 if gain == "exp" else grades


def discount(rank: Tensor) -> Tensor:
    """Return 1 / log2(1 + rank); ranks are counted from 1."""
    return 1 / (1 + rank).log2()


def ideal_dcg(lists: Lists, gain: Gain, k: int | None = None) -> Tensor:
    """Return the DCG of the best order, cut at k: (lists, 1)."""
    import torch

    best = gains_of(lists.grades, gain).sort(1, descending=True).values[:, :k]
    ranks = torch.arange(1, best.shape[1] + 1, device=best.device, dtype=best.dtype)
    return (best * discount(ranks)).sum(1, keepdim=True)
