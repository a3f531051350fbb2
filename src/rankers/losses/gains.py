"""Gains, discounts and ideals of DCG on tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from src.metrics.ndcg import LARGEST

if TYPE_CHECKING:
    from torch import Tensor

    from src.metrics.ndcg import Gain
    from src.rankers.losses.lists import Lists


def gains_of(grades: Tensor, gain: Gain) -> Tensor:
    """Return 2^grade - 1 or the grade; pads have grade 0 and gain 0.

    Raises ValueError where 2^grade - 1 is taken of a grade above LARGEST.
    """
    if gain == "linear":
        return grades
    if (grades > LARGEST).any():
        raise ValueError(
            f"grade {float(grades.max()):g} is above {LARGEST}, the highest for gain 2^grade - 1; "
            "scale the grades, or give the loss the linear gain"
        )
    gains = grades.exp2() - 1
    return gains.where(gains > 0, grades * math.log(2.0))  # of grades so low that 1 swallows them


def discount(rank: Tensor) -> Tensor:
    """Return 1 / log2(1 + rank); ranks are counted from 1."""
    return 1 / (1 + rank).log2()


def ideal_dcg(lists: Lists, gain: Gain, k: int | None = None) -> Tensor:
    """Return the DCG of the best order, cut at k: (lists, 1)."""
    import torch

    best = gains_of(lists.grades, gain).sort(1, descending=True).values[:, :k]
    ranks = torch.arange(1, best.shape[1] + 1, device=best.device, dtype=best.dtype)
    return (best * discount(ranks)).sum(1, keepdim=True)
