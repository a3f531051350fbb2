"""The nets of a `TwoTowerEmbedding`: encoders of a session's last events, and the query tower on top.

As in the winning solution of OTTO's competition (mrkmakr, 2023), a session's vector plus one of the
type of event wanted is what items are compared with. Here the type also turns the session's vector
(a matrix per type, at first 0): a sum alone cannot tell that carts follow clicks of the same item,
whatever the item. "gru" is the encoder of GRU4Rec (Hidasi et al., 2016), "lags" that
of Giba's Seq2Seq (OTTO's third place): its score is a learned sum of cosines. w is a window
(src/embeddings/two_tower_batches.py) as tensors: kind, ago, step (n, last) and hour (n).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from src.embeddings.rows import TwoTowerEmbedding
from src.embeddings.two_tower_batches import GAPS

HEADS = 4  # sets of weights over the events
HOURS = 8  # size of the vector of an hour of the day


class Pool(nn.Module):
    """Weighted means of the events' items, the weights learned from place, type, time and item."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.place = nn.Parameter(-torch.outer(torch.arange(row.last), torch.arange(HEADS)) * 0.3)
        self.kind = nn.Embedding(n_types, HEADS)
        self.ago = nn.Embedding(GAPS, HEADS)
        self.step = nn.Embedding(GAPS, HEADS)
        self.item = nn.Linear(row.size, HEADS, bias=False)
        self.hour = nn.Embedding(24, HOURS)
        self.mix = nn.Sequential(
            nn.Linear(HEADS * row.size + HOURS, 2 * row.size), nn.GELU(),
            nn.Linear(2 * row.size, row.size),
        )  # fmt: skip
        for table in (self.kind, self.ago, self.step):
            nn.init.zeros_(table.weight)

    def forward(self, items: Tensor, w: dict[str, Tensor]) -> Tensor:
        """Session vectors (n, size) from item vectors (n, last, size) and the rest of a window."""
        weight = self.item(items) + self.place
        weight = weight + self.kind(w["kind"]) + self.ago(w["ago"]) + self.step(w["step"])
        weight = weight.masked_fill(~w["there"][:, :, None], -torch.inf).softmax(1)
        pooled = weight.transpose(1, 2) @ items
        return pooled.mean(1) + self.mix(torch.cat([pooled.flatten(1), self.hour(w["hour"])], 1))


class Recurrent(nn.Module):
    """The events one after the other through a GRU, oldest first."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.kind = nn.Embedding(n_types, row.size)
        self.ago = nn.Embedding(GAPS, row.size)
        self.step = nn.Embedding(GAPS, row.size)
        self.hour = nn.Embedding(24, HOURS)
        self.gru = nn.GRU(row.size, row.size, batch_first=True)
        self.mix = nn.Linear(row.size + HOURS, row.size)
        for table in (self.kind, self.ago, self.step):
            nn.init.zeros_(table.weight)

    def forward(self, items: Tensor, w: dict[str, Tensor]) -> Tensor:
        """Session vectors (n, size) from item vectors (n, last, size) and the rest of a window."""
        events = items + self.kind(w["kind"]) + self.ago(w["ago"]) + self.step(w["step"])
        events = events * w["there"][:, :, None]
        state = self.gru(events.flip(1))[1][0]
        return items[:, 0] + self.mix(torch.cat([state, self.hour(w["hour"])], 1))


class Lags(nn.Module):
    """A weight for each of the last events, whatever it is, and a vector of the time of day."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.place = nn.Parameter(0.5 ** torch.arange(row.last))
        self.hour = nn.Embedding(3, row.size)  # night, day, evening
        nn.init.zeros_(self.hour.weight)

    def forward(self, items: Tensor, w: dict[str, Tensor]) -> Tensor:
        """Session vectors (n, size) from item vectors (n, last, size) and the rest of a window."""
        weight = self.place * w["there"]
        return (weight[:, :, None] * items).sum(1) + self.hour(w["hour"] // 8)


MADE_BY = {"pool": Pool, "gru": Recurrent, "lags": Lags}


class Net(nn.Module):
    """The encoder and the vectors of the types wanted; items come as vectors from outside."""

    def __init__(self, row: TwoTowerEmbedding, n_types: int) -> None:
        super().__init__()
        self.encoder = MADE_BY[row.encoder](row, n_types)
        self.turn = nn.Parameter(torch.zeros(row.size, n_types * row.size))
        self.wanted = nn.Embedding(n_types, row.size)
        nn.init.normal_(self.wanted.weight, std=row.size**-0.5)

    def encode(self, vectors: Tensor, w: dict[str, Tensor]) -> Tensor:
        """Session vectors (n, size); w["slot"] says which row of `vectors` each event's item is."""
        return self.encoder(vectors[w["slot"]], w)

    def query(self, session: Tensor, wanted: Tensor) -> Tensor:
        """Unit vectors to compare with items, of sessions and the types wanted from them."""
        turned = (session @ self.turn).view(len(session), -1, session.shape[1])
        turned = turned[torch.arange(len(session), device=session.device), wanted]
        return normalize(session + turned + self.wanted(wanted))
