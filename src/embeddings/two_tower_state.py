"""State of a two-tower net in training: the net, item vectors, Adam's moments, the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from src.core.arrays import I64
from src.core.training import Log
from src.data.sequence_batch import SequenceBatch
from src.embeddings.two_tower_nets import TwoTowerNet

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam


@dataclass
class TrainingState:
    """Everything that training changes and a checkpoint holds."""

    net: TwoTowerNet
    adam: torch.optim.Adam
    vectors: Tensor  # of all items, (items, dim), not scaled
    moments: tuple[Tensor, Tensor]  # Adam's two, of the vectors: (items, dim)
    steps: int = 0
    log: Log = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)  # net and vectors of the best epoch

    @classmethod
    def new(
        cls, row: TwoTowerEmbedding, n_items: int, n_types: int, seed: int, device: str
    ) -> TrainingState:
        """Initialise net and item vectors at random; the same for the same seed."""
        torch.manual_seed(seed)
        net = TwoTowerNet(row, n_types).to(device)
        vectors = torch.empty(n_items, row.dim).normal_(std=row.dim**-0.5).to(device)
        adam = torch.optim.Adam(net.parameters(), lr=row.learning_rate, betas=BETAS, eps=EPSILON)
        return cls(net, adam, vectors, (torch.zeros_like(vectors), torch.zeros_like(vectors)))

    def save(self, path: Path) -> None:
        """Write the whole state to a file."""
        state = vars(self) | {"net": self.net.state_dict(), "adam": self.adam.state_dict()}
        torch.save(state, path)

    def load(self, path: Path) -> None:
        """Read the state from a file that `save` wrote for the same row."""
        device = self.vectors.device
        del self.vectors, self.moments  # frees them before their copies are read
        state = torch.load(path, map_location=device, weights_only=True)
        self.net.load_state_dict(state.pop("net"))
        self.adam.load_state_dict(state.pop("adam"))
        for name, value in state.items():
            setattr(self, name, value)

    def keep(self) -> None:
        """Keep the net and the vectors as the best so far."""
        net = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.best = {"net": net, "vectors": self.vectors.clone()}

    def restore_best(self) -> None:
        """Return to the net and the vectors of the best epoch, if there was an epoch."""
        if self.best:
            self.net.load_state_dict(self.best["net"])
            self.vectors = self.best["vectors"]

    def update(self, items: Tensor, vectors: Tensor, gradient: Tensor, rate: float) -> None:
        """Take one step of Adam (Kingma and Ba, 2015) on the vectors of these items alone.

        vectors, gradient: (items, dim), the vectors now and the gradient of the loss.
        """
        means = []
        for moment, beta, value in zip(
            self.moments, BETAS, (gradient, gradient * gradient), strict=True
        ):
            mean = torch.lerp(value, moment.index_select(0, items), beta)
            moment.index_copy_(0, items, mean)
            means.append(mean / (1 - beta**self.steps))
        first, second = means
        step = rate * first / (second.sqrt() + EPSILON)
        self.vectors.index_copy_(0, items, vectors - step)

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Copy an array to the device of the vectors."""
        return torch.from_numpy(array).to(self.vectors.device)

    def unit_vectors(self, items: I64) -> Tensor:
        """Return the vectors of items at length 1: (items, dim)."""
        return normalize(self.vectors.index_select(0, self.tensor(items)))

    def encode(self, batch: SequenceBatch) -> Tensor:
        """Encode sessions, each of one event or more, to vectors (n, dim)."""
        return encode(self.net, self.unit_vectors, batch)


@torch.no_grad()
def encode(net: TwoTowerNet, unit_vectors: Callable[[I64], Tensor], batch: SequenceBatch) -> Tensor:
    """Encode sessions, each of one event or more, to vectors (n, dim).

    unit_vectors: returns the vectors of items, int64, at length 1.
    """
    items, local_row = np.unique(np.maximum(batch.item, 0), return_inverse=True)
    vectors = unit_vectors(items)
    return net.encode(vectors, net_inputs(batch, local_row, batch.mask, vectors.device))


def net_inputs(
    batch: SequenceBatch, local_row: I64, mask: NDArray[np.bool_], device: torch.device
) -> dict[str, Tensor]:
    """Copy the inputs of `TwoTowerNet.encode` to a device.

    local_row: int64, the row of each event's item in the table of vectors.
    """
    inputs = {
        "event_type": batch.event_type, "recency": batch.recency, "gap": batch.gap,
        "hour": batch.hour, "mask": mask, "local_row": local_row.reshape(mask.shape),
    }  # fmt: skip
    return {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
