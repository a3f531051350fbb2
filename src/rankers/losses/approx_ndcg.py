"""ApproxNDCG: NDCG with sigmoids for the comparisons that make ranks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from src.rankers.losses.base import ListLoss
from src.rankers.losses.gains import discount, gains_of, ideal_dcg

if TYPE_CHECKING:
    from torch import Tensor

    from src.metrics.ndcg import Gain
    from src.rankers.losses.lists import Lists


@dataclass(frozen=True)
class ApproxNDCG(ListLoss):
    """1 - NDCG at the ranks 1 + sum over others of sigmoid((s_j - s_i) / temperature).

    Qin et al., 2010. The temperature falls from start_temperature to temperature over the training,
    by a constant factor per step: an item that is misplaced by many temperatures has no gradient.
    Scores should be of order 1. Memory: three tables (lists, items with a gain, longest).
    """

    temperature: float = 0.1
    start_temperature: float | None = 1.0  # None: temperature at all times
    gain: Gain = "exponential"

    @property
    def quadratic(self) -> bool:
        return True

    def at(self, progress: float) -> ApproxNDCG:
        """Return the row with the temperature of the moment."""
        if self.start_temperature is None:
            return self
        temperature = self.start_temperature ** (1 - progress) * self.temperature**progress
        return replace(self, temperature=temperature, start_temperature=None)

    def values(self, lists: Lists) -> Tensor:
        """Compute 1 - NDCG of each list at approximate ranks."""
        columns, is_item = lists.some(lists.grades > 0)
        scores = lists.scores.masked_fill(~lists.mask, 0.0)
        difference = scores[:, None] - scores.gather(1, columns)[:, :, None]
        above = (difference / self.temperature).sigmoid() * lists.mask[:, None]
        rank = above.sum(2) + 0.5  # with half of 1 for the item itself
        gains = gains_of(lists.grades, self.gain).gather(1, columns).where(is_item, 0.0)
        return 1 - (gains * discount(rank) / ideal_dcg(lists, self.gain)).sum(1)
