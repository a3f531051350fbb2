"""Evaluate a two-tower net on held-out positions, by the ranks of their targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from src.core.arrays import I64
from src.data.sequence_batch import SequenceBatch
from src.data.sessions import Sessions
from src.embeddings.two_tower_batches import Targets
from src.embeddings.two_tower_state import TrainingState

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

RECALL_AT, MRR_AT = 20, 5
MAX_PRODUCTS = 2**34
"""Products of targets and items, at most: where there would be more, targets are sampled."""
MAX_ITEMS = 16384
"""Items whose vectors are scaled at a time, at most."""
CELLS = 2**21
"""Products in memory at a time: 8 MiB, which fit a cache."""


@torch.no_grad()
def held_out_scores(
    state: TrainingState, sessions: Sessions, row: TwoTowerEmbedding, position: I64, items: I64,
    seed: int,
) -> dict[str, float]:  # fmt: skip
    """Compute recall@20 of the next n_targets items, and MRR@5 of the very next item.

    position: the held-out ones. items: all that occur in the split, ascending; each target is
    ranked among them.
    """
    state.net.eval()
    if not position.size:
        return {"recall_20": 0.0, "mrr_5": 0.0}
    targets = Targets.of(sessions, position, row.n_targets)
    session = state.encode(SequenceBatch.of(sessions, position, row.max_len))
    query = state.net.query(session[state.tensor(targets.position)], state.tensor(targets.type))
    max_targets = max(MAX_PRODUCTS // items.size, 1)
    order = np.random.default_rng([seed, 3]).permutation(targets.query.size)
    drawn = np.sort(order[:max_targets])
    truth, query_of = state.tensor(targets.item[drawn]), state.tensor(targets.query[drawn])
    rank = ranks(state, query[query_of], truth, items).cpu().numpy()
    very_next = (np.diff(targets.position[targets.query], prepend=-1) > 0)[drawn]
    reciprocal = np.where(rank < MRR_AT, 1 / (1 + rank), 0.0)[very_next]
    weight = targets.weight[drawn]
    recall = ((rank < RECALL_AT) * weight).sum() / weight.sum()
    mrr = reciprocal.sum() / max(reciprocal.size, 1)
    return {"recall_20": float(recall), "mrr_5": float(mrr)}


def ranks(state: TrainingState, query: Tensor, truth: Tensor, items: I64) -> Tensor:
    """Rank each query's true item among all items, from 0: int64 (queries).

    query: unit vectors (queries, dim). truth: the true item of each. Ties share the best rank.
    """
    true_score = (query * normalize(state.vectors[truth])).sum(1, keepdim=True)
    rank = torch.zeros(len(truth), dtype=torch.int64, device=truth.device)
    all_items = state.tensor(items)
    index, step = torch.searchsorted(all_items, truth), min(CELLS // len(truth) + 1, MAX_ITEMS)
    for first in range(0, len(all_items), step):
        score = query @ normalize(state.vectors[all_items[first : first + step]]).T
        in_batch = ((index >= first) & (index < first + step)).nonzero()[:, 0]
        score[in_batch, index[in_batch] - first] = -torch.inf  # the true item is not above itself
        rank += score.gt_(true_score).sum(1).long()  # in place: no tables of booleans
    return rank
