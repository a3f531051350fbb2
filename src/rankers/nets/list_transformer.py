"""Self-attention over the candidates of a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.nets.base import InputSizes, Net

if TYPE_CHECKING:
    from src.rankers.nets.modules.layers import NetModule


@dataclass(frozen=True)
class ListTransformer(Net):
    """Scores candidates beside each other, as allRank does (Pobrotyn et al., 2020).

    Candidates have no positions: another order of them gives the same scores in that order.
    """

    width: int = 64  # of a candidate between the layers
    heads: int = 2
    layers: int = 2
    dropout: float = 0.1
    dim: int = 16  # of the vectors of items and categories

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"ListTransformer: width {self.width} is no multiple of its heads")

    def module(self, sizes: InputSizes) -> NetModule:
        """Make the layers."""
        from src.rankers.nets.modules.list_transformer import ListTransformerModule

        return ListTransformerModule(self, sizes)
