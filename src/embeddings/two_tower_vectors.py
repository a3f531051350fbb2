"""Export vectors of a trained two-tower net: of items, of queries, of single events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from src.core.arrays import F32, I64
from src.data.sequence_batch import SequenceBatch
from src.data.sessions import Sessions
from src.embeddings.two_tower_state import TrainingState

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

SESSIONS_AT_A_TIME = 8192
ITEMS_AT_A_TIME = 16384


@dataclass(frozen=True)
class TrainedTowers:
    """The net and the item vectors of the best epoch.

    items: those that occur in the split, ascending.
    """

    state: TrainingState
    sessions: Sessions
    row: TwoTowerEmbedding
    items: I64

    def item_vectors(self) -> F32:
        """Return unit vectors (items, dim); 0 for items that never occur."""
        vectors = np.zeros(tuple(self.state.vectors.shape), np.float32)
        for first in range(0, self.items.size, ITEMS_AT_A_TIME):
            batch = self.items[first : first + ITEMS_AT_A_TIME]
            vectors[batch] = normalize(self.state.vectors[self.state.tensor(batch)]).cpu().numpy()
        return vectors

    def write_query_vectors(self, event_types: list[int], path: Path) -> None:
        """Write unit query vectors (event types, queries, dim) in the .npy format, float32.

        The vector of a query without an event is 0.
        """
        last = self.sessions.last_event(self.sessions.first_query, self.sessions.n_sessions)
        shape = (len(event_types), last.size, self.row.dim)
        with open(path, "wb") as file:  # numpy's memory map needs a name that ends in .npy
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": shape}
            )
            for event_type in event_types:
                for first in range(0, last.size, SESSIONS_AT_A_TIME):
                    event = last[first : first + SESSIONS_AT_A_TIME]
                    vectors = np.zeros((event.size, self.row.dim), np.float32)
                    if (event >= 0).any():
                        sequences = SequenceBatch.of(
                            self.sessions, event[event >= 0], self.row.max_len
                        )
                        vectors[event >= 0] = self._queries(sequences, event_type).cpu().numpy()
                    file.write(vectors.tobytes())

    def single_event_queries(self, event_type: int) -> F32:
        """Return query vectors (items, dim) of sessions of a single event, one for each item.

        event_type: of the event, and to predict. The vectors are divided by the temperature: their
        products with item vectors are log-odds.
        """
        queries = np.empty((self.sessions.n_items, self.row.dim), np.float32)
        for first in range(0, len(queries), SESSIONS_AT_A_TIME):
            items = np.arange(first, min(first + SESSIONS_AT_A_TIME, len(queries)))
            sequences = SequenceBatch.of_single_events(items, event_type, self.row.max_len)
            scaled = self._queries(sequences, event_type) / self.row.temperature
            queries[items] = scaled.cpu().numpy()
        return queries

    @torch.no_grad()
    def _queries(self, sequences: SequenceBatch, event_type: int) -> Tensor:
        """Encode sequences to unit query vectors (n, dim) for one event type."""
        session = self.state.encode(sequences)
        types = torch.full((len(session),), event_type, device=session.device)
        return self.state.net.query(session, types)
