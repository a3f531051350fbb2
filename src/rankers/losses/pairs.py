"""Pairwise logistic losses: RankNet, and the base of losses that weight its pairs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from src.rankers.losses.base import ListLoss
from src.rankers.losses.gains import gains_of

if TYPE_CHECKING:
    from torch import Tensor

    from src.rankers.losses.lists import Groups, Lists

Reduction = Literal["mean", "sum"]
"""Of the terms of a list. The weighted mean is the same for long and short lists."""


@dataclass(frozen=True)
class PairLoss(ListLoss):
    """Weighted mean over pairs of a list, item i of a higher grade than j, of a logistic loss.

    The loss of a pair is softplus(-sigma (s_i - s_j)). Weights have no gradient. Memory: about five
    tables (lists, items above the lowest grade, longest); with one positive a list, one row each.
    """

    sigma: float = 1.0
    reduction: Reduction = "mean"

    @property
    def is_of_odds(self) -> bool:
        return self.sigma == 1

    @property
    def quadratic(self) -> bool:
        return True

    @abstractmethod
    def pair_weights(self, lists: Lists, high: Tensor) -> Tensor:
        """Return weights of pairs: (lists, columns, longest). high: (lists, columns), items i."""

    def firsts(self, lists: Lists) -> tuple[Tensor, Tensor]:
        """Return the columns of all items i, and which are no fill."""
        return lists.some((lists.grades > lists.lowest[:, None]) & lists.mask)

    def pairs(self, lists: Lists, high: Tensor) -> Tensor:
        """Return which pairs count: bool (lists, columns, longest)."""
        return lists.grades.gather(1, high)[:, :, None] > lists.grades[:, None]

    def values(self, lists: Lists) -> Tensor:
        """Reduce the pairs of each list."""
        import torch

        high, is_item = self.firsts(lists)
        with torch.no_grad():
            pairs = self.pairs(lists, high) & is_item[:, :, None] & lists.mask[:, None]
            weights = self.pair_weights(lists, high).where(pairs, 0.0)
        scores = lists.scores.masked_fill(~lists.mask, 0.0)
        difference = scores.gather(1, high)[:, :, None] - scores[:, None]
        cost = -torch.nn.functional.logsigmoid(self.sigma * difference)
        total = (weights * cost).sum((1, 2))
        return total if self.reduction == "sum" else total / weights.sum((1, 2))


@dataclass(frozen=True)
class RankNet(PairLoss):
    """Pairwise logistic loss (Burges et al., 2005): all pairs, or a sample of them.

    A sample draws partners of another grade for every item. Its expectation is the loss of all
    pairs. Memory of a sample: (lists, longest, sampled).
    """

    weight: Literal["equal", "grade", "gain"] = "equal"  # or by the gap of grades or exp gains
    sampled: int | None = None  # partners per item; None: all pairs

    @property
    def quadratic(self) -> bool:
        return self.sampled is None

    @property
    def draws(self) -> int:
        return self.sampled or 0

    def values(self, lists: Lists) -> Tensor:
        """Reduce the pairs, all or sampled, of each list."""
        from src.rankers.losses.lists import Groups

        if self.sampled is None:
            return super().values(lists)
        lists = lists.by_grade()
        return self.sampled_values(lists, Groups.of(lists))

    def pair_weights(self, lists: Lists, high: Tensor) -> Tensor:
        """Return 1, or the gaps."""
        worth = self.worth(lists)
        gap = worth.gather(1, high)[:, :, None] - worth[:, None]
        return gap if self.weight != "equal" else gap.new_ones(()).expand_as(gap)

    def worth(self, lists: Lists) -> Tensor:
        """Return what gaps are taken of: grades, or gains."""
        return gains_of(lists.grades, "exponential") if self.weight == "gain" else lists.grades

    def sampled_values(self, lists: Lists, groups: Groups) -> Tensor:
        """Reduce sampled pairs of each list; lists are sorted by grade.

        An item with m items of other grades counts m times, as in the loss of all pairs.
        """
        import torch

        others = (lists.size[:, None] - groups.size).where(lists.mask, 0)[:, :, None]
        start, size = groups.start[:, :, None], groups.size[:, :, None]
        drawn = (lists.noise * others).long().clamp(max=lists.longest - 1)
        partner = (drawn + size.where(drawn >= start, 0)).clamp(max=lists.longest - 1).flatten(1)
        sign = torch.where(drawn < start, -1.0, 1.0).to(lists.scores.dtype)
        scores, worth = lists.scores.masked_fill(~lists.mask, 0.0), self.worth(lists)
        difference = sign * (scores[:, :, None] - scores.gather(1, partner).view_as(drawn))
        gap = sign * (worth[:, :, None] - worth.gather(1, partner).view_as(drawn))
        weights = others * (gap if self.weight != "equal" else torch.ones_like(gap))
        cost = -torch.nn.functional.logsigmoid(self.sigma * difference)
        total = (weights * cost).mean(2).sum(1) / 2
        return total if self.reduction == "sum" else total / self.total_weight(lists, others)

    def total_weight(self, lists: Lists, others: Tensor) -> Tensor:
        """Return the sum of weights of all pairs of each list; lists are sorted by grade."""
        import torch

        if self.weight == "equal":
            return others.sum((1, 2)) / 2
        position = torch.arange(1, lists.longest + 1, device=lists.size.device)
        return (self.worth(lists) * (lists.size[:, None] + 1 - 2 * position)).sum(1)
