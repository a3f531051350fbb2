"""ListNet: cross-entropy of two softmaxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.losses.base import ListLoss

if TYPE_CHECKING:
    from torch import Tensor

    from src.rankers.losses.lists import Lists


@dataclass(frozen=True)
class ListNet(ListLoss):
    """-sum(P ln Q) with P = softmax(grades), Q = softmax(scores), both of the top item.

    Cao et al., 2007. For grades of several levels: a single positive among 200 items has P = 1.4 %;
    Softmax gives it all.
    """

    temperature: float = 1.0  # of the scores
    grade_temperature: float = 1.0

    def values(self, lists: Lists) -> Tensor:
        """Compute the cross-entropy of each list."""
        grades = lists.grades.masked_fill(~lists.mask, -float("inf"))
        target = (grades / self.grade_temperature).softmax(1)
        log_share = (lists.scores / self.temperature).log_softmax(1)
        return -(target * log_share.where(lists.mask, 0.0)).sum(1)
