"""Experts: hidden layers beside each other, over the same input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from src.rankers.nets.modules.layers import hidden_layers


class Experts(nn.Module):
    """Some perceptrons of one form."""

    def __init__(self, count: int, width: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(hidden_layers(width, hidden, dropout) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, width) to (rows, experts, hidden[-1])."""
        return torch.stack([layers(x) for layers in self.layers], 1)
