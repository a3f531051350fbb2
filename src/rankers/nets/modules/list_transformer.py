"""Self-attention over the candidates of a query, with torch's encoder layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from src.rankers.nets.base import InputSizes
from src.rankers.nets.modules.layers import Dropout, NetModule, RowInputs, item_vectors

if TYPE_CHECKING:
    from src.rankers.nets.list_transformer import ListTransformer

GROUPS = 4
"""Queries of a batch are computed in so many groups by length: a shorter list has fewer pads."""


class ListTransformerModule(NetModule):
    """A linear map of each row, encoder layers over the rows of a query, and a linear score."""

    def __init__(self, row: ListTransformer, sizes: InputSizes) -> None:
        super().__init__()
        self.inputs = RowInputs(sizes, row.dim, item=item_vectors(sizes, row.dim))
        self.first = nn.Linear(self.inputs.width, row.width)
        self.layers = nn.ModuleList(_layer(row) for _ in range(row.layers))
        self.last = nn.Sequential(nn.LayerNorm(row.width), nn.Linear(row.width, 1))
        self.linear = nn.Linear(self.inputs.width, 1)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Score the rows of a batch of QueryRows.batch: (rows)."""
        x = self.inputs(batch)
        first, size = self.first(x), batch["offsets"].diff()
        encoded, rows = [], []
        for queries in size.argsort(stable=True).chunk(GROUPS):
            mask = torch.arange(int(size[queries].max()), device=x.device) < size[queries, None]
            if mask.any():
                start = batch["offsets"][queries, None]
                rows.append((start + mask.cumsum(1) - 1)[mask])
                encoded.append(self.encode(first[rows[-1]], mask))
        back = torch.cat(rows).argsort()
        score: Tensor = self.last(torch.cat(encoded)[back]) + self.linear(x)
        return score[:, 0]

    def padded(self, batch: dict[str, Tensor]) -> Tensor:
        """Score padded lists: (lists, places)."""
        x, present = self.inputs(batch), batch["present"]
        table = self.first(x)
        pads = ~present & (torch.arange(present.shape[1]) > 0)  # as in `encode`
        for layer in self.layers:
            table = layer(table, src_key_padding_mask=pads)
        score: Tensor = self.last(table) + self.linear(x)
        return score[..., 0]

    def encode(self, rows: Tensor, mask: Tensor) -> Tensor:
        """Let the rows of each query attend to each other: (rows, width).

        rows: of queries in turn. mask: bool (queries, longest), the places of the rows.
        """
        table = rows.new_zeros(*mask.shape, rows.shape[1])
        table[mask] = rows
        pads = ~mask
        pads[:, 0] = False  # an empty query keeps a place: a softmax over nothing is NaN
        for layer in self.layers:
            table = layer(table, src_key_padding_mask=pads)
        return table[mask]


def _layer(row: ListTransformer) -> nn.TransformerEncoderLayer:
    """Make a layer that normalises first; its dropout does not draw from torch's generator."""
    layer = nn.TransformerEncoderLayer(
        row.width, row.heads, 2 * row.width, dropout=0.0, batch_first=True, norm_first=True
    )
    for name in ("dropout", "dropout1", "dropout2"):
        setattr(layer, name, Dropout(row.dropout))
    return layer
