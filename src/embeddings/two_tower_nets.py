"""Nets of a TwoTowerEmbedding: encoders of a session's last events, and the query tower on top.

As in the winning solution of OTTO's competition (mrkmakr, 2023), items are compared with the vector
of a session plus one of the event type that is predicted. Here the type also turns the session
vector, by a matrix per type that starts at 0: with a sum alone, carts could not follow clicks
of the same item for every item.

`batch`, below, is a SequenceBatch as tensors, with `mask` (n, max_len) and `local_row` (n,
max_len): the row of each event's item among the vectors at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from src.embeddings.sequence_batch import GAPS

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

HEADS = 4  # sets of attention weights over the events
HOUR_DIM = 8  # of the vector of an hour of the day


class PoolEncoder(nn.Module):
    """Weighted means of the events' items: the weights depend on rank, type, time and item."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.rank = nn.Parameter(-torch.outer(torch.arange(row.max_len), torch.arange(HEADS)) * 0.3)
        self.event_type = nn.Embedding(n_types, HEADS)
        self.recency = nn.Embedding(GAPS, HEADS)
        self.gap = nn.Embedding(GAPS, HEADS)
        self.item = nn.Linear(row.dim, HEADS, bias=False)
        self.hour = nn.Embedding(24, HOUR_DIM)
        self.mix = nn.Sequential(
            nn.Linear(HEADS * row.dim + HOUR_DIM, 2 * row.dim), nn.GELU(),
            nn.Linear(2 * row.dim, row.dim),
        )  # fmt: skip
        for table in (self.event_type, self.recency, self.gap):
            nn.init.zeros_(table.weight)

    def forward(self, items: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Session vectors (n, dim) from item vectors (n, max_len, dim) and the batch."""
        weight = self.item(items) + self.rank
        weight = weight + self.event_type(batch["event_type"])
        weight = weight + self.recency(batch["recency"]) + self.gap(batch["gap"])
        weight = weight.masked_fill(~batch["mask"][:, :, None], -torch.inf).softmax(1)
        pooled = weight.transpose(1, 2) @ items
        mixed = self.mix(torch.cat([pooled.flatten(1), self.hour(batch["hour"])], 1))
        return pooled.mean(1) + mixed


class GRUEncoder(nn.Module):
    """The events one after the other through a GRU, oldest first: GRU4Rec (Hidasi et al., 2016)."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.event_type = nn.Embedding(n_types, row.dim)
        self.recency = nn.Embedding(GAPS, row.dim)
        self.gap = nn.Embedding(GAPS, row.dim)
        self.hour = nn.Embedding(24, HOUR_DIM)
        self.gru = nn.GRU(row.dim, row.dim, batch_first=True)
        self.mix = nn.Linear(row.dim + HOUR_DIM, row.dim)
        for table in (self.event_type, self.recency, self.gap):
            nn.init.zeros_(table.weight)

    def forward(self, items: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Session vectors (n, dim) from item vectors (n, max_len, dim) and the batch."""
        events = items + self.event_type(batch["event_type"])
        events = events + self.recency(batch["recency"]) + self.gap(batch["gap"])
        events = events * batch["mask"][:, :, None]
        state = self.gru(events.flip(1))[1][0]
        return items[:, 0] + self.mix(torch.cat([state, self.hour(batch["hour"])], 1))


class LagsEncoder(nn.Module):
    """A weight for each of the last events, by its rank alone, and a vector of the time of day.

    As Giba's Seq2Seq (OTTO's third place): the score of an item is a learned sum of cosines.
    """

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.rank = nn.Parameter(0.5 ** torch.arange(row.max_len))
        self.hour = nn.Embedding(3, row.dim)  # night, day, evening
        nn.init.zeros_(self.hour.weight)

    def forward(self, items: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Session vectors (n, dim) from item vectors (n, max_len, dim) and the batch."""
        weight = self.rank * batch["mask"]
        return (weight[:, :, None] * items).sum(1) + self.hour(batch["hour"] // 8)


ENCODERS: dict[str, type[nn.Module]] = {
    "pool": PoolEncoder, "gru": GRUEncoder, "lags": LagsEncoder,
}  # fmt: skip


class TwoTowerNet(nn.Module):
    """The encoder, and a matrix and a vector per event type; item vectors are given."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.encoder = ENCODERS[row.encoder](row, n_types)
        self.type_matrix = nn.Parameter(torch.zeros(row.dim, n_types * row.dim))
        self.type_vector = nn.Embedding(n_types, row.dim)
        nn.init.normal_(self.type_vector.weight, std=row.dim**-0.5)

    def encode(self, vectors: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Encode sessions (n, dim); batch["local_row"]: rows of their items in `vectors`."""
        return self.encoder(vectors[batch["local_row"]], batch)

    def query(self, session: Tensor, event_type: Tensor) -> Tensor:
        """Make unit vectors (n, dim) to compare with items, of session vectors and event types."""
        turned = (session @ self.type_matrix).view(len(session), -1, session.shape[1])
        turned = turned[torch.arange(len(session), device=session.device), event_type]
        return normalize(session + turned + self.type_vector(event_type))
