"""Trained nets as a model of a NetRanker: create, save, load, score."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.core.arrays import F32, I64
from src.core.engines.base import Engine
from src.data.shards import batches
from src.rankers.base import RankerModel
from src.rankers.net import NetRanker
from src.rankers.nets.inputs import QueryRows, rows_to_score
from src.rankers.nets.modules.layers import NetModule
from src.rankers.nets.scaling import InputScaler

if TYPE_CHECKING:
    from src.rankers.batches import CandidateBatch

SCORED_QUERIES = 100  # scored at a time by a thread
SEED_STEP = 7919  # between the seeds of the nets of a model

_seeding = Lock()  # all threads share torch's global generator


@dataclass
class NetModel(RankerModel):
    """Nets with the scaler of their inputs; the score is the mean over the nets."""

    ranker: NetRanker
    scaler: InputScaler
    nets: list[NetModule]
    engine: Engine
    objectives: tuple[str, ...] = ()

    @classmethod
    def new(
        cls, ranker: NetRanker, scaler: InputScaler, n_event_types: int, engine: Engine, seed: int,
        objectives: tuple[str, ...] = (), vectors: NDArray | None = None,
    ) -> Self:  # fmt: skip
        """Initialise the nets, the same for the same seed; errors of Net.module.

        objectives: of a multi-task net, which gives each of them a score. vectors: of the items of
        the scaler, (items, numbers), for a net that reads some.
        """
        scene = ranker.net.scene
        sizes, nets = scaler.sizes(n_event_types), list[NetModule]()
        sizes = sizes._replace(
            objectives=max(1, len(objectives)),
            scene=scaler.categories.index(scene) if scene else None,
            vector=0 if vectors is None else vectors.shape[1],
        )
        with _seeding:
            for n in range(ranker.nets):
                torch.manual_seed(seed + n * SEED_STEP)
                nets.append(ranker.net.module(sizes).to(engine.device))
        if vectors is not None:
            for net in nets:
                net.get_buffer("vectors")[1:] = torch.from_numpy(vectors)
        return cls(ranker, scaler, nets, engine, objectives)

    @property
    def names(self) -> list[str]:
        return self.scaler.columns

    def state(self) -> list[dict[str, Tensor]]:
        """Return the parameters and buffers of each net, which training changes in place."""
        return [net.state_dict() for net in self.nets]

    def load_state(self, state: list[dict[str, Tensor]]) -> None:
        """Set what `state` returns."""
        for net, values in zip(self.nets, state, strict=True):
            net.load_state_dict(values)

    def save(self, path: Path) -> None:
        """Write the nets and the scaler to a file: tensors, lists and text, no pickled objects."""
        scaler = {name: _tensors(value) for name, value in vars(self.scaler).items()}
        of_nets = {"nets": self.state(), "objectives": list(self.objectives)}
        torch.save({"scaler": scaler, **of_nets}, path)

    @classmethod
    def load(cls, ranker: NetRanker, path: Path, n_event_types: int, engine: Engine) -> Self:
        """Read a model that `save` wrote for the same ranker."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        scaler = InputScaler(**{name: _arrays(value) for name, value in state["scaler"].items()})
        vectors = state["nets"][0]["vectors"][1:].numpy() if ranker.net.vectors else None
        model = cls.new(
            ranker, scaler, n_event_types, engine, 0, tuple(state["objectives"]), vectors
        )
        model.load_state(state["nets"])
        return model

    def scores(self, batch: CandidateBatch) -> F32:
        """Score the candidates of a batch by features and the last events of the sessions."""
        rows = rows_to_score(batch, self.scaler, self.ranker.net.max_len)
        return self.score_queries(rows, np.arange(batch.pool.n_queries), self.engine.threads)

    def score_queries(self, rows: QueryRows, queries: I64, threads: int = 1) -> F32:
        """Score all rows of queries; the result does not depend on the number of threads.

        Returns float32 (rows), or (rows, objectives) of a multi-task net.
        """
        queries = queries[np.diff(rows.offsets)[queries] > 0]
        for net in self.nets:
            net.eval()

        def score(of_batch: I64) -> F32:
            batch = self.tensors(rows.batch(of_batch))
            with torch.no_grad():
                scores = [net(batch).cpu().numpy() for net in self.nets]
            return np.mean(scores, axis=0, dtype=np.float32) if len(scores) > 1 else scores[0]

        by_batch = [queries[a:b] for a, b in batches(0, queries.size, SCORED_QUERIES)]
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            no_row = np.empty((0, len(self.objectives)) if self.objectives else 0, np.float32)
            return np.concatenate([no_row, *pool.map(score, by_batch)])

    def tensors(self, batch: dict[str, NDArray]) -> dict[str, Tensor]:
        """Copy a batch to the device of the nets."""
        device = self.engine.device
        return {name: torch.from_numpy(value).to(device) for name, value in batch.items()}


def _tensors(value: Any) -> Any:
    """Convert arrays to tensors, in lists too."""
    if isinstance(value, list):
        return [_tensors(inner) for inner in value]
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _arrays(value: Any) -> Any:
    """Convert tensors to arrays, in lists too."""
    if isinstance(value, list):
        return [_arrays(inner) for inner in value]
    return value.numpy() if isinstance(value, Tensor) else value
