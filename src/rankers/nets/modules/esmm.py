"""Products along a chain of objectives (Ma et al., 2018)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from src.rankers.nets.modules.multi_task import MultiTaskModule


class ESMMModule(MultiTaskModule):
    """Logits of the products of the rates of all steps up to each objective."""

    def scored(self, batch: dict[str, Tensor]) -> Tensor:
        """Score the rows of a batch whose scenes are already hidden: (rows, objectives)."""
        return chain(super().scored(batch))


def chain(rates: Tensor) -> Tensor:
    """Return the logits of the products of rates, along axis 1; rates: logits, (rows, steps).

    ln(1 - pq) is that of (1 - p) + p(1 - q): exact where the product is near 1.
    """
    reached, missed = logsigmoid(rates[:, 0]), logsigmoid(-rates[:, 0])
    logits = [rates[:, 0]]
    for rate in rates.unbind(1)[1:]:
        missed = torch.logaddexp(missed, reached + logsigmoid(-rate))
        reached = reached + logsigmoid(rate)
        logits.append(reached - missed)
    return torch.stack(logits, 1)
