"""A multi-layer perceptron over the inputs of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from src.rankers.nets.base import InputSizes
from src.rankers.nets.modules.layers import NetModule, RowInputs, hidden_layers, item_vectors

if TYPE_CHECKING:
    from src.rankers.nets.mlp import Norm


class MLPModule(NetModule):
    """Hidden layers and a linear term; without hidden layers it is a linear model."""

    def __init__(
        self, sizes: InputSizes, dim: int, hidden: Sequence[int], dropout: float, norm: Norm
    ) -> None:
        super().__init__()
        self.inputs = RowInputs(sizes, dim, item=item_vectors(sizes, dim))
        self.linear = nn.Linear(self.inputs.width, 1)
        self.top: nn.Module | None = None
        if hidden:
            layers = hidden_layers(self.inputs.width, hidden, dropout, norm)
            self.top = nn.Sequential(layers, nn.Linear(hidden[-1], 1))

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Score the rows of a batch of QueryRows.batch: (rows)."""
        x = self.inputs(batch)
        score: Tensor = self.linear(x)
        if self.top is not None:
            score = score + self.top(x)
        return score[:, 0]
