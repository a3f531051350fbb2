"""Experts: hidden layers beside each other, over the same input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from src.rankers.nets.modules.layers import hidden_layers

if TYPE_CHECKING:
    from src.rankers.nets.multi_task import MultiTask


class Experts(nn.Module):
    """Some perceptrons of the form that a row gives."""

    def __init__(self, count: int, width: int, row: MultiTask) -> None:
        super().__init__()
        form = width, row.hidden, row.dropout, row.norm
        self.layers = nn.ModuleList(hidden_layers(*form) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, width) to (rows, experts, hidden[-1])."""
        return torch.stack([layers(x) for layers in self.layers], 1)
