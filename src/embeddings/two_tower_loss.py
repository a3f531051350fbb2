"""The sampled softmax of a two-tower net: a cheap softmax over all items.

A drawn item stands for 1 / chance items like itself: ln of the chance is subtracted from its logit,
in training alone (the logQ correction: Bengio and Senecal, 2008; Yi et al., 2019). Without it the
best score of an item would be ln p - ln chance, so popular items would come too low. A query's own
targets are no negatives: they would be pushed away by the very query that they belong to.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from src.core.arrays import I64
from src.embeddings.two_tower_batches import SampledNegatives, Targets


def sampled_softmax(
    query: Tensor, unit: Tensor, targets: Targets, target_row: I64, negatives: SampledNegatives
) -> Tensor:
    """Compute the sum over targets of weight * -ln(softmax of the target and the negatives).

    query: (queries, dim), divided by the temperature; products with unit vectors are the scores.
    unit: (rows, dim), vectors of items; target_row: row of each target.
    """

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(unit.device)

    correction = tensor(-negatives.log_chance)
    drawn = unit.index_select(0, tensor(negatives.local_row))
    logits = torch.addmm(correction, query, drawn.T)
    negative = negatives.negative_of_row[target_row]
    hit = np.flatnonzero(negative >= 0)
    logits[tensor(targets.query[hit]), tensor(negative[hit])] = -torch.inf
    total = logits.exp_().sum(1)  # cosines and temperatures are bounded: no overflow
    query_of = tensor(targets.query)
    score = (query[query_of] * unit[tensor(target_row)]).sum(1)
    return torch.log1p(total[query_of] * torch.exp(-score)) @ tensor(targets.weight)
