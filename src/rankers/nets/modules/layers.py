"""Parts of several modules: vectors of ids, dropout, hidden layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from src.rankers.nets.base import InputSizes

if TYPE_CHECKING:
    from src.rankers.nets.mlp import Norm

INIT_STD = 0.05  # of the vectors at the start


class NetModule(nn.Module):
    """A net as a module of torch; `forward` scores the rows of a batch of QueryRows.batch."""

    def branches(self, batch: dict[str, Tensor]) -> list[tuple[float, Tensor]]:
        """Return what the loss reads: weights, and scores as those of `forward`, the first."""
        return [(1.0, self(batch))]

    def padded(self, batch: dict[str, Tensor]) -> Tensor:
        """Score padded lists; a graph without loops over the data.

        batch: that of QueryRows.batch, but the arrays of rows are (lists, places, ...), rows first,
        pads of 0 behind them, and `present` marks the rows: bool (lists, places). Returns float32
        (lists, places), or (lists, places, objectives) of a multi-task net. Scores of pads mean
        nothing.
        """
        score: Tensor = self(flat(batch))
        return score.reshape(*batch["present"].shape, *score.shape[1:])


OF_ROWS = ("numbers", "codes", "item")
"""Arrays of rows in a batch, which nets read; histories are of queries."""


def flat(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Make a batch of QueryRows.batch of one of padded lists; its pads are rows."""
    lists, places = batch["present"].shape
    of_rows = {name: value.flatten(0, 1) for name, value in batch.items() if name in OF_ROWS}
    every = torch.arange(lists)[:, None].expand(lists, places)
    of_rows |= {"query": every.reshape(-1), "offsets": torch.arange(lists + 1) * places}
    return {**batch, **of_rows}


def vectors(count: int, dim: int, sparse: bool = False) -> nn.Embedding:
    """Make a table of vectors near 0; sparse: a step updates only those that a batch has."""
    table = nn.Embedding(count, dim, sparse=sparse)
    nn.init.normal_(table.weight, std=INIT_STD)
    return table


class Dropout(nn.Module):
    """Sets a share of its input to 0 in training, with a generator of its own.

    Torch's dropout draws from the one generator of the process. Where folds train in parallel, its
    draws would depend on the threads.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator = torch.Generator()
        self.generator.manual_seed(int(torch.randint(2**62, ())))

    def forward(self, x: Tensor) -> Tensor:
        """Return x with zeros; the rest grows so that the mean stays."""
        if not self.training or self.share == 0:
            return x
        kept = torch.rand(x.shape, generator=self.generator).to(x.device) >= self.share
        return x * kept / (1 - self.share)


class RowInputs(nn.Module):
    """Joins the inputs of each row: numbers, vectors of its categories, the vector of its item.

    numbers, categories: which of them; None: all.
    """

    def __init__(
        self, sizes: InputSizes, dim: int, numbers: Sequence[int] | None = None,
        categories: Sequence[int] | None = None, item: nn.Embedding | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.numbers = None if numbers is None else list(numbers)
        every = range(len(sizes.categories))
        self.categories = list(every if categories is None else categories)
        self.category = nn.ModuleList(vectors(sizes.categories[c], dim) for c in self.categories)
        self.item = item
        n_numbers = sizes.numbers if numbers is None else len(numbers)
        self.width = n_numbers + dim * (len(self.categories) + (item is not None))

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Join the inputs of the rows of a batch of QueryRows.batch: (rows, width).

        The rows of padded lists have two axes.
        """
        numbers = batch["numbers"]
        parts = [numbers if self.numbers is None else numbers[..., self.numbers]]
        for c, table in zip(self.categories, self.category, strict=True):
            parts.append(table(batch["codes"][..., c]))
        if self.item is not None:
            parts.append(self.item(batch["item"]))
        return torch.cat(parts, -1)


def item_vectors(sizes: InputSizes, dim: int) -> nn.Embedding | None:
    """Make the table of item vectors, or None where items are not told apart."""
    return vectors(sizes.items, dim, sparse=True) if sizes.items > 1 else None


class RowNorm(nn.BatchNorm1d):
    """Batch normalisation over rows; a batch of one row is taken as it is in scoring."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each unit: (rows, units)."""
        if self.training and len(x) < 2:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


NORMS: dict[str, type[nn.Module]] = {
    "none": nn.Identity, "batch": RowNorm, "layer": nn.LayerNorm,
}  # fmt: skip


def hidden_layers(
    width: int, hidden: Sequence[int], dropout: float, norm: Norm = "none"
) -> nn.Sequential:
    """Make layers of these numbers of units, each with normalisation, ReLU and dropout."""
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(width, units), NORMS[norm](units), nn.ReLU(), Dropout(dropout)]
        width = units
    return nn.Sequential(*layers)
