"""Softmax cross-entropy over a list (ListNet's top-one loss with gains as target)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from src.rankers.losses.base import ListLoss
from src.rankers.losses.gains import gains_of

if TYPE_CHECKING:
    from torch import Tensor

    from src.metrics.ndcg import Gain
    from src.rankers.losses.lists import Lists


@dataclass(frozen=True)
class Softmax(ListLoss):
    """-sum(P ln softmax(s)), where P is the gain of an item divided by the gains of its list.

    With over="positives" a list weighs as much as its gains together: for binary grades, the loss
    is the mean over all positives of the batch. With over="lists" all lists weigh the same.
    """

    gain: Gain = "linear"
    over: Literal["positives", "lists"] = "positives"

    @property
    def is_of_odds(self) -> bool:
        return True

    def usable(self, lists: Lists) -> Tensor:
        """Return which lists have a gain, and two items where lists weigh the same."""
        if self.over == "positives":
            return lists.size > 0
        return (lists.size > 1) & (lists.highest > 0)

    def values(self, lists: Lists) -> Tensor:
        """Compute the cross-entropy of each list."""
        gains = gains_of(lists.grades, self.gain)
        cost = (-gains * lists.scores.log_softmax(1)).where(gains > 0, 0.0)
        return cost.sum(1) / gains.sum(1)

    def mean(self, lists: Lists) -> Tensor:
        """Compute the mean over lists, or over positives."""
        if self.over == "lists":
            return super().mean(lists)
        gains, cost = gains_of(lists.grades, self.gain), -lists.scores.log_softmax(1)
        positive = gains > 0
        total = gains[positive].sum().clamp(min=1e-30)
        return (gains[positive] * cost[positive]).sum() / total
