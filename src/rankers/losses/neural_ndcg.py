"""NeuralNDCG: NDCG with a soft permutation instead of a sort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.losses.base import ListLoss
from src.rankers.losses.gains import discount, gains_of, ideal_dcg

if TYPE_CHECKING:
    from torch import Tensor

    from src.metrics.ndcg import Gain
    from src.rankers.losses.lists import Lists

NEGLIGIBLE = 1e-20  # smaller shares are 0: products of denormal numbers take ten times as long


@dataclass(frozen=True)
class NeuralNDCG(ListLoss):
    """1 - NDCG at k of gains that NeuralSort permutes (Pobrotyn and Bialobrzeski, 2021).

    NeuralSort (Grover et al., 2019): the item at rank r is softmax over j of ((n + 1 - 2r) s_j -
    sum_l |s_j - s_l|) / temperature. Sinkhorn's scaling makes columns sum to 1, so that no gain
    counts twice. Memory: about six tables (lists, longest, longest).
    """

    temperature: float = 1.0
    k: int | None = None  # None: no cut
    gain: Gain = "exponential"

    @property
    def quadratic(self) -> bool:
        return True

    def values(self, lists: Lists) -> Tensor:
        """Compute 1 - NDCG of each list with its soft permutation."""
        import torch

        from src.rankers.losses.sinkhorn import scales

        gains = gains_of(lists.grades, self.gain)
        table = soft_permutation(lists, self.temperature)
        row, column = scales(table)
        at_rank = row * torch.bmm(table, (column * gains)[:, :, None])[:, :, 0]
        ranks = torch.arange(1, lists.longest + 1, device=gains.device, dtype=gains.dtype)
        dcg = (at_rank * discount(ranks))[:, : self.k].sum(1, keepdim=True)
        return (1 - dcg / ideal_dcg(lists, self.gain, self.k))[:, 0]


def soft_permutation(lists: Lists, temperature: float) -> Tensor:
    """Return NeuralSort's shares of items (columns) at ranks (rows): (lists, longest, longest)."""
    import torch

    both = lists.mask[:, :, None] & lists.mask[:, None]
    scores = lists.scores.masked_fill(~lists.mask, 0.0)
    spread = ((scores[:, :, None] - scores[:, None]).abs() * both).sum(2)
    ranks = torch.arange(1, lists.longest + 1, device=scores.device)
    slope = (lists.size[:, None] + 1 - 2 * ranks)[:, :, None]
    logits = (slope * scores[:, None] - spread[:, None]) / temperature
    share = logits.masked_fill(~lists.mask[:, None], lists.floor).softmax(2)
    return share.where(both & (share > NEGLIGIBLE), 0.0)
