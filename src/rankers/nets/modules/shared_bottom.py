"""Hidden layers that all heads share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from src.rankers.nets.modules.layers import hidden_layers

if TYPE_CHECKING:
    from src.rankers.nets.shared_bottom import SharedBottom


class SharedBottomTrunk(nn.Module):
    """The same hidden layers for each head."""

    def __init__(self, row: SharedBottom, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.layers = hidden_layers(width, row.hidden, row.dropout, row.norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, width) to (rows, heads, hidden[-1])."""
        bottom: Tensor = self.layers(x)
        return bottom[:, None].expand(-1, self.heads, -1)
