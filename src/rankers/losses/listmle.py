"""ListMLE: likelihood of the ranking by grade under the Plackett-Luce model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from src.rankers.losses.base import ListLoss
from src.rankers.losses.gains import discount, gains_of
from src.rankers.losses.pairs import Reduction

if TYPE_CHECKING:
    from torch import Tensor

    from src.rankers.losses.lists import Groups, Lists

Ties = Literal["unique", "shuffle", "exact", "efron", "breslow"]


@dataclass(frozen=True)
class ListMLE(ListLoss):
    """Weighted mean over stages of -ln P(the stage takes its item among all that are left).

    Xia et al., 2008. Stages go from the highest grade down; the last one is certain. The order of
    items of the same grade is unknown, and the lowest grade is not a stage of its own, except for
    shuffle. Weights of a grade are the mean over its stages.

    ties: unique compares an item with itself and lower grades alone. shuffle draws an order at each
    call. exact is the likelihood of all orders, at 64 times the memory of the others (float64
    quadrature). efron and breslow approximate the mean over all orders. With reduction="sum" it is
    minus the log-likelihood. O(n log n).
    """

    ties: Ties = "unique"
    top_k: int | None = None  # stages that count; all items stay in the denominators
    weights: Literal["equal", "log", "gain"] = "equal"  # 1/log2(1 + stage), or 2^grade - 1
    reduction: Reduction = "mean"

    @property
    def is_of_odds(self) -> bool:
        return True

    @property
    def draws(self) -> int:
        return int(self.ties == "shuffle")

    def values(self, lists: Lists) -> Tensor:
        """Reduce the stages of each list."""
        from src.rankers.losses import ties
        from src.rankers.losses.lists import Groups

        lists = lists.by_grade(lists.noise[:, :, 0] if self.ties == "shuffle" else None)
        groups = Groups.of(lists)
        costs = {
            "unique": ties.unique, "shuffle": ties.shuffled, "exact": ties.exact,
            "efron": ties.efron, "breslow": ties.breslow,
        }[self.ties](lists, groups)  # fmt: skip
        weights = self.stage_weights(lists, groups)
        total = (weights * costs).sum(1)
        return total if self.reduction == "sum" else total / weights.sum(1)

    def stage_weights(self, lists: Lists, groups: Groups) -> Tensor:
        """Return the weight of each item of sorted lists, 0 where it is no stage."""
        import torch

        stage = torch.arange(1, lists.longest + 1, device=lists.size.device)
        weights = {
            "equal": lambda: torch.ones_like(lists.scores),
            "log": lambda: discount(stage.to(lists.scores.dtype)).expand_as(lists.scores),
            "gain": lambda: gains_of(lists.grades, "exponential"),
        }[self.weights]()
        weights = weights * (stage <= (self.top_k or lists.longest))
        if self.ties == "shuffle":
            return weights.where(stage < lists.size[:, None], 0.0)
        weights = groups.mean(weights).to(weights.dtype)
        return weights.where(groups.end < lists.size[:, None], 0.0)
