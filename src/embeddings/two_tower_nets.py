"""Nets of a TwoTowerEmbedding: encoders of a session's last events, and the query tower on top.

In the winning solution of OTTO's competition (mrkmakr, 2023), a query vector is the session vector
plus a vector of the event type to predict. Here each type also has a matrix, 0 at the start, that
multiplies the session vector. The sum alone shifts all sessions by the same vector: it could not
rank, for every session, other items for carts than for clicks.

In all nets, n is the number of sessions of a batch. `batch` holds the arrays of a SequenceBatch as
tensors, and two more (n, max_len): `mask`, the events to read, and `local_row`, the row of each
event's item in the table of vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from src.data.sequence_batch import TIME_BUCKETS

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

HEADS = 4  # sets of attention weights over the events
LAYERS = 2  # of the transformer
HOUR_DIM = 8  # length of the vector of an hour of the day
RANK_SLOPE = 0.3  # at the start, logits of head h fall by h times this per event
PARTS_OF_DAY = 3  # night, day, evening


class PoolEncoder(nn.Module):
    """Weighted means of the item vectors; weights by rank, type, recency, gap and item."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.rank = nn.Parameter(
            -torch.outer(torch.arange(row.max_len), torch.arange(HEADS)) * RANK_SLOPE
        )
        self.event_type = nn.Embedding(n_types, HEADS)
        self.recency = nn.Embedding(TIME_BUCKETS, HEADS)
        self.gap = nn.Embedding(TIME_BUCKETS, HEADS)
        self.item = nn.Linear(row.dim, HEADS, bias=False)
        self.hour = nn.Embedding(24, HOUR_DIM)
        self.mix = nn.Sequential(
            nn.Linear(HEADS * row.dim + HOUR_DIM, 2 * row.dim), nn.GELU(),
            nn.Linear(2 * row.dim, row.dim),
        )  # fmt: skip
        for table in (self.event_type, self.recency, self.gap):
            nn.init.zeros_(table.weight)

    def forward(self, items: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Encode item vectors (n, max_len, dim) and the batch to session vectors (n, dim)."""
        weight = self.item(items) + self.rank
        weight = weight + self.event_type(batch["event_type"])
        weight = weight + self.recency(batch["recency"]) + self.gap(batch["gap"])
        weight = weight.masked_fill(~batch["mask"][:, :, None], -torch.inf).softmax(1)
        pooled = weight.transpose(1, 2) @ items
        mixed = self.mix(torch.cat([pooled.flatten(1), self.hour(batch["hour"])], 1))
        return pooled.mean(1) + mixed


class GRUEncoder(nn.Module):
    """A GRU over the events, oldest first, as in GRU4Rec (Hidasi et al., 2016)."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.event_type = nn.Embedding(n_types, row.dim)
        self.recency = nn.Embedding(TIME_BUCKETS, row.dim)
        self.gap = nn.Embedding(TIME_BUCKETS, row.dim)
        self.hour = nn.Embedding(24, HOUR_DIM)
        self.gru = nn.GRU(row.dim, row.dim, batch_first=True)
        self.mix = nn.Linear(row.dim + HOUR_DIM, row.dim)
        for table in (self.event_type, self.recency, self.gap):
            nn.init.zeros_(table.weight)

    def forward(self, items: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Encode item vectors (n, max_len, dim) and the batch to session vectors (n, dim)."""
        events = items + self.event_type(batch["event_type"])
        events = events + self.recency(batch["recency"]) + self.gap(batch["gap"])
        events = events * batch["mask"][:, :, None]
        state = self.gru(events.flip(1))[1][0]
        return items[:, 0] + self.mix(torch.cat([state, self.hour(batch["hour"])], 1))


class TransformerEncoder(nn.Module):
    """Self-attention over the events, read at the latest one: SASRec (Kang and McAuley, 2018).

    Every position of a session is a sample of its own, so the events need no causal mask.
    """

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.rank = nn.Embedding(row.max_len, row.dim)
        self.event_type = nn.Embedding(n_types, row.dim)
        self.recency = nn.Embedding(TIME_BUCKETS, row.dim)
        self.gap = nn.Embedding(TIME_BUCKETS, row.dim)
        self.hour = nn.Embedding(24, HOUR_DIM)
        layer = nn.TransformerEncoderLayer(
            row.dim, HEADS, 4 * row.dim, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.mix = nn.Linear(row.dim + HOUR_DIM, row.dim)
        for table in (self.rank, self.event_type, self.recency, self.gap):
            nn.init.zeros_(table.weight)

    def forward(self, items: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Encode item vectors (n, max_len, dim) and the batch to session vectors (n, dim)."""
        events = items + self.rank.weight + self.event_type(batch["event_type"])
        events = events + self.recency(batch["recency"]) + self.gap(batch["gap"])
        state = self.layers(events, src_key_padding_mask=~batch["mask"])[:, 0]
        return items[:, 0] + self.mix(torch.cat([state, self.hour(batch["hour"])], 1))


class LagsEncoder(nn.Module):
    """Weighted sum of the item vectors; weights by rank alone. Adds a vector of the time of day.

    As in Giba's Seq2Seq (OTTO's third place), the score of an item is a weighted sum of cosines.
    """

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.rank = nn.Parameter(0.5 ** torch.arange(row.max_len))
        self.hour = nn.Embedding(PARTS_OF_DAY, row.dim)
        nn.init.zeros_(self.hour.weight)

    def forward(self, items: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Encode item vectors (n, max_len, dim) and the batch to session vectors (n, dim)."""
        weight = self.rank * batch["mask"]
        part_of_day = batch["hour"] // (24 // PARTS_OF_DAY)
        return (weight[:, :, None] * items).sum(1) + self.hour(part_of_day)


ENCODERS: dict[str, type[nn.Module]] = {
    "pool": PoolEncoder, "gru": GRUEncoder, "lags": LagsEncoder, "transformer": TransformerEncoder,
}  # fmt: skip


class TwoTowerNet(nn.Module):
    """An encoder, and a matrix and a vector per event type; the caller holds the item vectors."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.encoder = ENCODERS[row.encoder](row, n_types)
        self.type_matrix = nn.Parameter(torch.zeros(row.dim, n_types * row.dim))
        self.type_vector = nn.Embedding(n_types, row.dim)
        nn.init.normal_(self.type_vector.weight, std=row.dim**-0.5)

    def encode(self, vectors: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Encode sessions to vectors (n, dim); batch["local_row"] holds rows of `vectors`."""
        row = batch["local_row"]
        events = vectors.index_select(0, row.flatten()).view(*row.shape, -1)
        return self.encoder(events, batch)

    def query(self, session: Tensor, event_type: Tensor) -> Tensor:
        """Combine session vectors (n, dim) and event types (n) to unit query vectors (n, dim)."""
        turned = (session @ self.type_matrix).view(len(session), -1, session.shape[1])
        turned = turned[torch.arange(len(session), device=session.device), event_type]
        return normalize(session + turned + self.type_vector(event_type))
