"""The entire space multi-task model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.losses.base import Loss
from src.rankers.losses.pointwise import BCE
from src.rankers.nets.base import InputSizes
from src.rankers.nets.multi_task import MultiTask

if TYPE_CHECKING:
    from torch import nn

    from src.rankers.nets.modules.layers import NetModule


@dataclass(frozen=True)
class ESMM(MultiTask):
    """A chain of objectives, each a step that needs the one before it (Ma et al., 2018).

    The probability of a step is the product of its own rate and those of all earlier steps: pCTCVR
    = pCTR x pCVR. So the rate of a late step is learned from all rows, also from those where no
    earlier step was taken. The order of the recipe's objectives is that of the chain. The loss is
    BCE: the scores are logits. All heads share the vectors of items and categories.
    """

    def check(self, loss: Loss) -> None:
        """Refuse any loss but BCE: the logits are those of products of probabilities."""
        if type(loss) is not BCE:
            raise ValueError("ESMM multiplies probabilities, so its loss is BCE()")

    def module(self, sizes: InputSizes) -> NetModule:
        """Make a tower per step, and their products."""
        from src.rankers.nets.modules.esmm import ESMMModule

        return ESMMModule(self, sizes)

    def trunk(self, width: int, heads: int) -> nn.Module:
        """Make the hidden layers of each head."""
        from src.rankers.nets.modules.experts import Experts

        return Experts(heads, width, self)
