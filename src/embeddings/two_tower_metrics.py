"""Score a two-tower net on held-out positions: where the next items rank among all items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from src.core.arrays import I64
from src.data.sessions import Sessions
from src.embeddings.sequence_batch import SequenceBatch
from src.embeddings.two_tower_batches import Targets
from src.embeddings.two_tower_state import TrainingState

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

MAX_PRODUCTS = 2**34
"""Products of held-out targets and items: where there would be more, targets are drawn."""
ITEMS_AT_A_TIME = 16384
CELLS = 2**21
"""Products in memory at a time: as many as a cache holds."""


@torch.no_grad()
def held_out_scores(
    state: TrainingState, sessions: Sessions, row: TwoTowerEmbedding, position: I64, items: I64,
    seed: int,
) -> dict[str, float]:  # fmt: skip
    """Compute recall@20 of the next n_targets items, and MRR@5 of the very next one.

    position: held-out ones; items: all that occur, ascending.
    """
    state.net.eval()
    if not position.size:
        return {"recall_20": 0.0, "mrr_5": 0.0}
    t = Targets.of(sessions, position, row.n_targets)
    session = state.encode(SequenceBatch.of(sessions, position, row.max_len))
    query = state.net.query(session[state.tensor(t.position)], state.tensor(t.type))
    most = max(MAX_PRODUCTS // items.size, 1)
    drawn = np.sort(np.random.default_rng([seed, 3]).permutation(t.query.size)[:most])
    truth = state.tensor(t.item[drawn])
    rank = ranks(state, query[state.tensor(t.query[drawn])], truth, items).cpu().numpy()
    very_next = (np.diff(t.position[t.query], prepend=-1) > 0)[drawn]
    reciprocal = np.where(rank < 5, 1 / (1 + rank), 0.0)[very_next]
    recall = ((rank < 20) * t.weight[drawn]).sum() / t.weight[drawn].sum()
    mrr = reciprocal.sum() / max(reciprocal.size, 1)
    return {"recall_20": float(recall), "mrr_5": float(mrr)}


def ranks(state: TrainingState, query: Tensor, truth: Tensor, items: I64) -> Tensor:
    """Count the items that are nearer to each query than its true one, int64 (queries)."""
    true_score = (query * normalize(state.vectors[truth])).sum(1, keepdim=True)
    rank = torch.zeros(len(truth), dtype=torch.int64, device=truth.device)
    known = state.tensor(items)
    index, step = torch.searchsorted(known, truth), min(CELLS // len(truth) + 1, ITEMS_AT_A_TIME)
    for first in range(0, len(known), step):
        score = query @ normalize(state.vectors[known[first : first + step]]).T
        inside = ((index >= first) & (index < first + step)).nonzero()[:, 0]
        score[inside, index[inside] - first] = -torch.inf
        rank += score.gt_(true_score).sum(1).long()  # in place: no tables of booleans
    return rank
