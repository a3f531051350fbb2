"""LambdaRank and LambdaLoss: pairs weighted by what their order changes in NDCG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from src.rankers.losses.gains import discount, gains_of, ideal_dcg
from src.rankers.losses.pairs import PairLoss

if TYPE_CHECKING:
    from torch import Tensor

    from src.metrics.ndcg import Gain
    from src.rankers.losses.lists import Lists


@dataclass(frozen=True)
class NDCGPairs(PairLoss):
    """Pairs with at least one item among the k best by score, weighted at the current ranks.

    Ranks are those of each call. A rule that asks for both items among the best would never pull
    an item in.
    """

    k: int | None = None  # None: no cut
    gain: Gain = "exponential"

    def pairs(self, lists: Lists, high: Tensor) -> Tensor:
        """Return which pairs count: grades differ, and one of the items is among the k best."""
        return super().pairs(lists, high) & self.near_top(lists, high)

    def near_top(self, lists: Lists, high: Tensor) -> Tensor:
        """Return which pairs have an item among the k best by score."""
        top = lists.ranks() <= (self.k or lists.longest)
        return top.gather(1, high)[:, :, None] | top[:, None]

    def swaps(self, lists: Lists, high: Tensor) -> Tensor:
        """Return the change of NDCG, if the items of a pair swapped their ranks."""
        discounts = discount(lists.ranks().to(lists.scores.dtype))
        change = discounts.gather(1, high)[:, :, None] - discounts[:, None]
        return self.gaps(lists, high) * change.abs()

    def gaps(self, lists: Lists, high: Tensor) -> Tensor:
        """Return the difference of gains by the ideal DCG at k."""
        gains = self.shares(lists)
        return gains.gather(1, high)[:, :, None] - gains[:, None]

    def shares(self, lists: Lists) -> Tensor:
        """Return the gains by the ideal DCG at k: (lists, longest)."""
        return gains_of(lists.grades, self.gain) / ideal_dcg(lists, self.gain, self.k)


@dataclass(frozen=True)
class LambdaRank(NDCGPairs):
    """Pairs weighted by the change of NDCG if they swapped (Burges et al., 2006).

    With reduction="sum" its gradients are those of LightGBM's lambdarank and XGBoost's rank:ndcg,
    both without normalisation. Changes are small far from the top: warm up with Softmax.
    """

    def pair_weights(self, lists: Lists, high: Tensor) -> Tensor:
        """Return the changes of NDCG."""
        return self.swaps(lists, high)


@dataclass(frozen=True)
class LambdaLoss(NDCGPairs):
    """Bounds of NDCG by pairs (Wang et al., 2018).

    ndcg_loss1: weight G_i / D(r_i) on the pairs of i with every item, whatever their grades.
    ndcg_loss2: the gap of gains times 1/D(d) - 1/D(d + 1), where d is the distance of the ranks.
    ndcg_loss2++: mu times that of ndcg_loss2, plus that of LambdaRank.
    """

    scheme: Literal["ndcg_loss1", "ndcg_loss2", "ndcg_loss2++"] = "ndcg_loss2++"
    mu: float = 10.0

    def firsts(self, lists: Lists) -> tuple[Tensor, Tensor]:
        """Return all items with a gain for ndcg_loss1, else those above the lowest grade."""
        return lists.some(lists.grades > 0) if self._alone else super().firsts(lists)

    def pairs(self, lists: Lists, high: Tensor) -> Tensor:
        """Return all pairs near the top for ndcg_loss1, else those whose grades differ."""
        return self.near_top(lists, high) if self._alone else super().pairs(lists, high)

    def pair_weights(self, lists: Lists, high: Tensor) -> Tensor:
        """Return the weights of the scheme."""
        import torch

        ranks = lists.ranks()
        if self._alone:
            discounts = discount(ranks.to(lists.scores.dtype))
            weights = (self.shares(lists) * discounts).gather(1, high)
            return weights[:, :, None].expand(-1, -1, lists.longest)
        distance = (ranks.gather(1, high)[:, :, None] - ranks[:, None]).abs()
        distances = torch.arange(1, lists.longest + 1, device=ranks.device)
        steps = -discount(distances.to(lists.scores.dtype)).diff()
        loss2 = self.gaps(lists, high) * steps[(distance - 1).clamp(min=0)]
        return loss2 if self.scheme == "ndcg_loss2" else self.mu * loss2 + self.swaps(lists, high)

    @property
    def _alone(self) -> bool:
        """Whether weights depend on the first item of a pair alone."""
        return self.scheme == "ndcg_loss1"
