"""The two towers and their inner product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from src.rankers.nets.base import InputSizes
from src.rankers.nets.modules.layers import NetModule, RowInputs, hidden_layers, item_vectors

if TYPE_CHECKING:
    from src.rankers.nets.two_tower import TwoTower


class TwoTowerModule(NetModule):
    """Query vectors and item vectors, and scores as their exact inner products."""

    def __init__(self, row: TwoTower, sizes: InputSizes) -> None:
        super().__init__()
        item = item_vectors(sizes, row.dim)
        self.history = item if row.max_len else None
        numbers, categories = sizes.query_numbers, sizes.query_categories
        self.query_inputs = RowInputs(sizes, row.dim, numbers, categories)
        self.item_inputs = RowInputs(
            sizes, row.dim, sizes.item_numbers, sizes.item_categories, item
        )
        width = self.query_inputs.width + (row.dim if self.history else 0)
        for tower, inputs in (("query", width), ("item", self.item_inputs.width)):
            if not inputs:
                reason = "no column is constant within queries, and max_items or max_len is 0"
                reason = reason if tower == "query" else "all columns are constant within queries"
                raise ValueError(f"TwoTower: the {tower} tower has no input: {reason}")
        self.query_tower = _tower(row, width)
        self.item_tower = _tower(row, self.item_inputs.width)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Score the rows of a batch of QueryRows.batch: (rows)."""
        query = self.query_vectors(batch)[batch["query"]]
        return (query * self.item_vectors(batch)).sum(1)

    def item_vectors(self, batch: dict[str, Tensor]) -> Tensor:
        """Compute the vector of each row: (rows, width)."""
        vectors: Tensor = self.item_tower(self.item_inputs(batch))
        return vectors

    def query_vectors(self, batch: dict[str, Tensor]) -> Tensor:
        """Compute the vector of each query from its first row: (queries, width).

        Vectors of queries without a row mean nothing.
        """
        last = batch["query"].shape[0] - 1
        first = batch["offsets"][:-1].clamp(max=last)
        x = self.query_inputs({name: batch[name][first] for name in ("numbers", "codes")})
        if self.history is not None:
            mask = batch["mask"][:, :, None]
            events = (self.history(batch["history"]) * mask).sum(1) / mask.sum(1).clamp(min=1)
            x = torch.cat([x, events], 1)
        vectors: Tensor = self.query_tower(x)
        return vectors


def _tower(row: TwoTower, width: int) -> nn.Sequential:
    layers = hidden_layers(width, row.hidden, row.dropout)
    return nn.Sequential(layers, nn.Linear((width, *row.hidden)[-1], row.width))
