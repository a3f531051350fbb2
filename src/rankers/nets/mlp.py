"""A multi-layer perceptron over the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from src.rankers.nets.base import InputSizes, Net

if TYPE_CHECKING:
    from src.rankers.nets.modules.layers import NetModule

Norm = Literal["none", "batch", "layer"]
"""Normalisation of a hidden layer."""


@dataclass(frozen=True)
class MLP(Net):
    """Hidden layers with ReLU, and a linear term; each candidate is scored alone."""

    hidden: tuple[int, ...] = (128, 64)
    dropout: float = 0.1  # share of the hidden units that are 0 in training
    norm: Norm = "batch"
    dim: int = 16  # of the vectors of items and categories

    def module(self, sizes: InputSizes) -> NetModule:
        """Make the layers."""
        from src.rankers.nets.modules.mlp import MLPModule

        return MLPModule(sizes, self.dim, self.hidden, self.dropout, self.norm)
