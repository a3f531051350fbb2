"""State of a two-tower net in training: the net, all item vectors, Adam's moments, the log."""

from __future__ import annotations

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
from src.embeddings.sequence_batch import SequenceBatch
from src.embeddings.two_tower_nets import TwoTowerNet

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam


@dataclass
class TrainingState:
    """Everything that training changes: what a checkpoint holds."""

    net: TwoTowerNet
    adam: torch.optim.Adam
    vectors: Tensor  # (items, dim), of any length: cosines do not depend on it
    moments: tuple[Tensor, Tensor]  # Adam's, of the vectors
    steps: int = 0
    log: Log = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)  # net and vectors of the best epoch

    @classmethod
    def new(
        cls, row: TwoTowerEmbedding, n_items: int, n_types: int, seed: int, device: str
    ) -> TrainingState:
        """Start a training, the same for the same seed."""
        torch.manual_seed(seed)
        net = TwoTowerNet(row, n_types).to(device)
        vectors = torch.empty(n_items, row.dim).normal_(std=row.dim**-0.5).to(device)
        adam = torch.optim.Adam(net.parameters(), lr=row.learning_rate, betas=BETAS, eps=EPSILON)
        return cls(net, adam, vectors, (torch.zeros_like(vectors), torch.zeros_like(vectors)))

    def save(self, path: Path) -> None:
        """Write the whole state to a file."""
        parts = vars(self) | {"net": self.net.state_dict(), "adam": self.adam.state_dict()}
        torch.save(parts, path)

    def load(self, path: Path) -> None:
        """Resume from a file of the same row."""
        device = self.vectors.device
        del self.vectors, self.moments  # not two of each in memory
        parts = torch.load(path, map_location=device, weights_only=True)
        self.net.load_state_dict(parts.pop("net"))
        self.adam.load_state_dict(parts.pop("adam"))
        for name, value in parts.items():
            setattr(self, name, value)

    def keep(self) -> None:
        """Keep the net and the vectors as the best so far."""
        net = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.best = {"net": net, "vectors": self.vectors.clone()}

    def restore_best(self) -> None:
        """Return to the best epoch, where there was one."""
        if self.best:
            self.net.load_state_dict(self.best["net"])
            self.vectors = self.best["vectors"]

    def update(self, items: Tensor, gradient: Tensor, rate: float) -> None:
        """Take one step of Adam (Kingma and Ba, 2015) on some of the vectors only."""
        for moment, beta, value in zip(
            self.moments, BETAS, (gradient, gradient * gradient), strict=True
        ):
            moment[items] = torch.lerp(value, moment[items], beta)
        first, second = (
            moment[items] / (1 - beta**self.steps)
            for moment, beta in zip(self.moments, BETAS, strict=True)
        )
        self.vectors[items] -= rate * first / (second.sqrt() + EPSILON)

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Put an array onto the device."""
        return torch.from_numpy(array).to(self.vectors.device)

    def net_inputs(
        self, batch: SequenceBatch, local_row: I64, mask: NDArray[np.bool_]
    ) -> dict[str, Tensor]:
        """Put a batch onto the device; local_row: where each event's item is among the vectors."""
        inputs = {
            "event_type": batch.event_type, "recency": batch.recency, "gap": batch.gap,
            "hour": batch.hour, "mask": mask, "local_row": local_row.reshape(mask.shape),
        }  # fmt: skip
        return {name: self.tensor(array) for name, array in inputs.items()}

    @torch.no_grad()
    def encode(self, batch: SequenceBatch) -> Tensor:
        """Encode sessions of one event at least (n, dim), by the vectors of all items."""
        items, local_row = np.unique(np.maximum(batch.item, 0), return_inverse=True)
        vectors = normalize(self.vectors[self.tensor(items)])
        return self.net.encode(vectors, self.net_inputs(batch, local_row, batch.mask))
