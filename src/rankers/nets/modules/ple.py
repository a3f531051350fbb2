"""Levels of own and shared experts (Tang et al., 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from src.rankers.nets.modules.experts import Experts

if TYPE_CHECKING:
    from src.rankers.nets.ple import PLE


class PLETrunk(nn.Module):
    """Levels, each of which feeds the next."""

    def __init__(self, row: PLE, width: int, heads: int) -> None:
        super().__init__()
        widths = [width, *[row.hidden[-1]] * (row.levels - 1)]
        is_last = [level == row.levels - 1 for level in range(row.levels)]
        pairs = zip(widths, is_last, strict=True)
        self.levels = nn.ModuleList(Level(row, w, heads, last) for w, last in pairs)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, width) to (rows, heads, hidden[-1])."""
        of_head, shared = [x] * self.heads, x
        for level in self.levels:
            of_head, shared = level(of_head, shared)
        return torch.stack(of_head, 1)


class Level(nn.Module):
    """Own experts of each head and shared ones, and the gates that mix them.

    The gate of a head reads the head's input, and mixes its own and the shared experts. The gate of
    the shared path mixes all; the last level has none.
    """

    def __init__(self, row: PLE, width: int, heads: int, last: bool) -> None:
        super().__init__()
        self.own = nn.ModuleList(Experts(row.own, width, row) for _ in range(heads))
        self.shared = Experts(row.shared, width, row)
        self.gates = nn.ModuleList(nn.Linear(width, row.own + row.shared) for _ in range(heads))
        every = heads * row.own + row.shared
        self.shared_gate = None if last else nn.Linear(width, every)

    def forward(self, of_head: list[Tensor], shared: Tensor) -> tuple[list[Tensor], Tensor]:
        """Map the input of each head and of the shared path, (rows, width), to their mixtures."""
        own = [experts(x) for experts, x in zip(self.own, of_head, strict=True)]
        common = self.shared(shared)
        heads = zip(self.gates, of_head, own, strict=True)
        mixed = [mix(gate(x), torch.cat([experts, common], 1)) for gate, x, experts in heads]
        if self.shared_gate is not None:
            shared = mix(self.shared_gate(shared), torch.cat([*own, common], 1))
        return mixed, shared


def mix(gate: Tensor, experts: Tensor) -> Tensor:
    """Average (rows, experts, units) by the softmax of a gate, (rows, experts)."""
    return (gate.softmax(1)[:, None] @ experts)[:, 0]
