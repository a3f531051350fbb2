"""Vectors by a trained two-tower net: of items, of queries, of single events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from src.core.arrays import F32, I64
from src.core.run import Run
from src.data import paths
from src.data.sequence_batch import SequenceBatch
from src.data.sessions import Sessions
from src.data.shards import batches
from src.data.vectors import load
from src.embeddings.two_tower import SESSIONS_AT_A_TIME
from src.embeddings.two_tower_nets import TwoTowerNet
from src.embeddings.two_tower_state import TrainingState, encode

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

ITEMS_AT_A_TIME = 16384
MIN_SESSIONS = 32
"""Fewer sessions are encoded with copies of them.

BLAS sums few rows in another order than many. So a session alone has the vector that it has among
others, byte for byte.
"""


@dataclass(frozen=True)
class QueryTower:
    """A trained net, and the item vectors that it reads: of items, int64, at length 1."""

    net: TwoTowerNet
    unit_vectors: Callable[[I64], Tensor]
    row: TwoTowerEmbedding

    @classmethod
    def load(cls, run: Run, split: str, row: TwoTowerEmbedding) -> QueryTower:
        """Read the net and the item vectors of a split."""
        net = TwoTowerNet(row, len(run.recipe.types))
        file = paths.query_encoder(run, split, row.name)
        net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        vectors = load(paths.item_vectors(run, split, row.name))
        return cls(net.eval(), lambda items: torch.from_numpy(vectors[items]), row)

    def save(self, path: Path) -> None:
        """Write the net to a file."""
        torch.save({name: value.cpu() for name, value in self.net.state_dict().items()}, path)

    def of_sessions(
        self, sessions: Sessions, first: int, end: int, event_types: Sequence[int]
    ) -> F32:
        """Encode sessions first : end to unit query vectors: (event types, sessions, dim).

        The vector of a session without an event is 0.
        """
        last = sessions.last_event(first, end)
        vectors = np.zeros((len(event_types), last.size, self.row.dim), np.float32)
        if (last >= 0).any():
            sequences = SequenceBatch.of(sessions, last[last >= 0], self.row.max_len)
            vectors[:, last >= 0] = self.queries(sequences, event_types).cpu().numpy()
        return vectors

    def write_vectors(self, sessions: Sessions, event_types: Sequence[int], path: Path) -> None:
        """Write unit query vectors (event types, queries, dim) in the .npy format, float32.

        They are of the queries among the sessions. That of a query without an event is 0.
        """
        shape = (len(event_types), sessions.n_queries, self.row.dim)
        with open(path, "wb") as file:  # numpy's memory map needs a name that ends in .npy
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": shape}
            )
            start = file.tell()
            for first, end in batches(0, sessions.n_queries, SESSIONS_AT_A_TIME):
                of_queries = sessions.first_query + first, sessions.first_query + end
                for t, part in enumerate(self.of_sessions(sessions, *of_queries, event_types)):
                    file.seek(start + (t * sessions.n_queries + first) * part[:1].nbytes)
                    file.write(part.tobytes())

    @torch.no_grad()
    def queries(self, sequences: SequenceBatch, event_types: Sequence[int]) -> Tensor:
        """Encode sequences to unit query vectors (event types, n, dim), by one thread.

        Several could sum in another order; numba's kernels reset their number.
        """
        torch.set_num_threads(1)
        n = len(sequences.item)
        if n < MIN_SESSIONS:
            sequences = sequences.take(np.arange(MIN_SESSIONS) % n)
        session = encode(self.net, self.unit_vectors, sequences)
        types = [torch.full((len(session),), t, device=session.device) for t in event_types]
        return torch.stack([self.net.query(session, t) for t in types])[:, :n]


@dataclass(frozen=True)
class TrainedTowers:
    """The net and the item vectors of the best epoch.

    items: those that occur in the split, ascending.
    """

    state: TrainingState
    sessions: Sessions
    row: TwoTowerEmbedding
    items: I64

    @property
    def query_tower(self) -> QueryTower:
        return QueryTower(self.state.net, self.state.unit_vectors, self.row)

    def item_vectors(self) -> F32:
        """Return unit vectors (items, dim); 0 for items that never occur."""
        vectors = np.zeros(tuple(self.state.vectors.shape), np.float32)
        for first in range(0, self.items.size, ITEMS_AT_A_TIME):
            batch = self.items[first : first + ITEMS_AT_A_TIME]
            vectors[batch] = normalize(self.state.vectors[self.state.tensor(batch)]).cpu().numpy()
        return vectors

    def single_event_queries(self, event_type: int) -> F32:
        """Return query vectors (items, dim) of sessions of a single event, one for each item.

        event_type: of the event, and to predict. The vectors are divided by the temperature: their
        products with item vectors are log-odds.
        """
        queries = np.empty((self.sessions.n_items, self.row.dim), np.float32)
        tower = self.query_tower
        for first in range(0, len(queries), SESSIONS_AT_A_TIME):
            items = np.arange(first, min(first + SESSIONS_AT_A_TIME, len(queries)))
            sequences = SequenceBatch.of_single_events(items, event_type, self.row.max_len)
            (vectors,) = tower.queries(sequences, [event_type]) / self.row.temperature
            queries[items] = vectors.cpu().numpy()
        return queries
