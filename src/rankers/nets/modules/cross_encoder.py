"""Candidates that read the last items of the session, with torch's decoder layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from src.data.sequence_batch import TIME_BUCKETS
from src.rankers.nets.base import InputSizes
from src.rankers.nets.modules.layers import OF_ROWS, Dropout, NetModule, RowInputs, vectors

if TYPE_CHECKING:
    from src.rankers.nets.cross_encoder import CrossEncoder


class CrossEncoderModule(NetModule):
    """Decoder layers over the candidates of a query, and a linear score.

    A candidate begins as a linear map of its vector and columns; an event as one of its item's
    vector, with its type, its place and its recency. Before the events stands a start vector, which
    a session without an event has too.
    """

    vectors: Tensor

    def __init__(self, row: CrossEncoder, sizes: InputSizes) -> None:
        super().__init__()
        given = torch.zeros(sizes.items, sizes.vector, dtype=torch.float16)
        self.register_buffer("vectors", given)
        self.inputs = RowInputs(sizes, row.dim)
        self.item, self.event = (nn.Linear(sizes.vector, row.width) for _ in range(2))
        self.columns = nn.Linear(self.inputs.width, row.width)
        self.event_type = vectors(sizes.event_types, row.width)
        self.place, self.recency = (vectors(n, row.width) for n in (row.max_len, TIME_BUCKETS))
        self.start = nn.Parameter(torch.zeros(row.width))
        self.layers = nn.ModuleList(_layer(row) for _ in range(row.layers))
        self.last = nn.Sequential(nn.LayerNorm(row.width), nn.Linear(row.width, 1))
        self.linear = nn.Linear(self.inputs.width, 1)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Score the rows of a batch of QueryRows.batch: (rows)."""
        query, position = batch["query"], batch["position"]
        shape = len(batch["offsets"]) - 1, int(position.max()) + 1
        present = torch.zeros(shape, dtype=torch.bool, device=query.device)
        present[query, position] = True
        padded = {**batch, "present": present}
        for name in OF_ROWS:
            padded[name] = batch[name].new_zeros(*shape, *batch[name].shape[1:])
            padded[name][query, position] = batch[name]
        return self.padded(padded)[query, position]

    def padded(self, batch: dict[str, Tensor]) -> Tensor:
        """Score padded lists: (lists, places)."""
        present, mask = batch["present"], batch["mask"]
        x = self.inputs(batch)
        rows = self.columns(x) + self.item(self.vectors[batch["item"]].float())
        pads = ~present & (torch.arange(present.shape[1], device=x.device) > 0)  # no empty softmax
        read = self.events(batch)
        unread = torch.cat([torch.zeros_like(mask[:, :1]), ~mask], 1)
        for layer in self.layers:
            rows = layer(rows, read, tgt_key_padding_mask=pads, memory_key_padding_mask=unread)
        score: Tensor = self.last(rows) + self.linear(x)
        return score[..., 0]

    def events(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the start vector, then those of the events: (queries, 1 + max_len, width)."""
        item = self.event(self.vectors[batch["history"]].float())
        events = item + self.event_type(batch["event_type"]) + self.recency(batch["recency"])
        events = events + self.place.weight
        return torch.cat([self.start.expand(events.shape[0], 1, -1), events], 1)


def _layer(row: CrossEncoder) -> nn.TransformerDecoderLayer:
    """Make a layer that normalises first; its dropout does not draw from torch's generator."""
    layer = nn.TransformerDecoderLayer(
        row.width, row.heads, 2 * row.width, dropout=0.0, batch_first=True, norm_first=True
    )
    for name in ("dropout", "dropout1", "dropout2", "dropout3"):
        setattr(layer, name, Dropout(row.dropout))
    return layer
