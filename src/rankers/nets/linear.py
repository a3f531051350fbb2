"""A linear model of the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.nets.base import InputSizes, Net

if TYPE_CHECKING:
    from src.rankers.nets.modules.layers import NetModule


@dataclass(frozen=True)
class Linear(Net):
    """A weight per number, one per value of a category, and one per item with a vector."""

    def module(self, sizes: InputSizes) -> NetModule:
        """Make an MLP without hidden layers; the vectors of ids have length 1."""
        from src.rankers.nets.modules.mlp import MLPModule

        return MLPModule(sizes, dim=1, hidden=(), dropout=0.0, norm="none")
