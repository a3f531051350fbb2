"""Experts and a gate per head (Ma et al., 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from src.rankers.nets.modules.experts import Experts

if TYPE_CHECKING:
    from src.rankers.nets.mmoe import MMoE


class MMoETrunk(nn.Module):
    """Mixtures of the same experts; the gate of a head is the softmax of a linear layer."""

    def __init__(self, row: MMoE, width: int, heads: int) -> None:
        super().__init__()
        self.shape = heads, row.experts
        self.experts = Experts(row.experts, width, row)
        self.gates = nn.Linear(width, heads * row.experts)

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, width) to (rows, heads, hidden[-1])."""
        gates: Tensor = self.gates(x).unflatten(1, self.shape).softmax(2)
        return gates @ self.experts(x)
