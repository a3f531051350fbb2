"""What a two-tower net is trained on: positions of sessions, their targets, drawn items.

A *position* is the number of an event of the split. The net reads the session up to it; its targets
are the events that follow. All arrays are gathered by index arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, F64, I32, I64, count_items
from src.data.sessions import Sessions
from src.data.units import DAY
from src.embeddings.base import HELD_OUT
from src.embeddings.sequence_batch import SequenceBatch, session_of

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding


@dataclass(frozen=True)
class Targets:
    """The events after some positions, and the queries: one per position and event type.

    position, type: int64 (queries), the number of the position in the batch and the event type.
    query, item, weight (targets, by position, then in the order of the session): the query that
    each belongs to, and its share of the position's 1.
    """

    position: I64
    type: I64
    query: I64
    item: I64
    weight: F32

    @classmethod
    def of(cls, sessions: Sessions, position: I32 | I64, n_targets: int) -> Targets:
        """Take up to n_targets events of the session after each position; each has one at least."""
        end = sessions.offsets[session_of(sessions, position) + 1]
        event = position[:, None] + 1 + np.arange(n_targets)
        mask = event < end[:, None]
        event, owner = event[mask], np.nonzero(mask)[0]
        types = sessions.type[event].astype(np.int64)
        n_types = int(types.max(initial=0)) + 1
        pairs, query = np.unique(owner * n_types + types, return_inverse=True)
        weight = (1.0 / mask.sum(axis=1))[owner].astype(np.float32)
        item = sessions.item[event].astype(np.int64)
        return cls(pairs // n_types, pairs % n_types, query, item, weight)


@dataclass(frozen=True)
class MicroBatch:
    """A part of a batch, which one thread trains on.

    mask: bool (positions, max_len), the events that are read, after dropout.
    """

    sequences: SequenceBatch
    mask: NDArray[np.bool_]
    targets: Targets

    @classmethod
    def of(
        cls, sessions: Sessions, position: I32, row: TwoTowerEmbedding, rng: np.random.Generator
    ) -> MicroBatch:
        """Read a part of a batch; the newest event of each position is never dropped."""
        sequences = SequenceBatch.of(sessions, position, row.max_len)
        mask = sequences.mask
        mask[:, 1:] &= rng.random((position.size, row.max_len - 1)) >= row.dropout
        return cls(sequences, mask, Targets.of(sessions, position, row.n_targets))

    @property
    def item(self) -> I64:
        """Items of the sequences, then of the targets."""
        return np.concatenate([np.maximum(self.sequences.item.ravel(), 0), self.targets.item])


@dataclass(frozen=True)
class SampledNegatives:
    """The items drawn for a batch, among the items whose vectors were gathered for it.

    local_row: int64 (drawn), their rows among those vectors; log_chance: float32 (drawn), how
    likely each was drawn; n: number of those vectors.
    """

    local_row: I64
    log_chance: F32
    n: int

    @cached_property
    def drawn_of_row(self) -> I64:
        """Which of the drawn items each local row is, or -1."""
        drawn = np.full(self.n, -1)
        drawn[self.local_row] = np.arange(self.local_row.size)
        return drawn


class NegativeSampler:
    """Draws items in proportion to (their number of events) ** ns_exponent."""

    def __init__(self, sessions: Sessions, row: TwoTowerEmbedding) -> None:
        count = count_items(sessions.item, sessions.n_items)
        self.items = np.flatnonzero(count)
        self.draws = row.batch_negatives
        chance = count[self.items].astype(np.float64) ** row.ns_exponent
        self.cumulative: F64 = np.cumsum(chance / max(chance.sum(), 1e-300))
        share = np.diff(self.cumulative, prepend=0.0)
        # of being drawn at least once: the softmax over the drawn items divides by it
        log_chance = np.log(-np.expm1(self.draws * np.log1p(-share.clip(0, 1 - 1e-9))))
        self.log_chance: F32 = log_chance.astype(np.float32)

    def draw(self, rng: np.random.Generator) -> tuple[I64, F32]:
        """Draw different items; return them, ascending, and ln of the chance that each is drawn.

        Where there are no more items than draws, all of them are drawn, with certainty.
        """
        if self.items.size <= self.draws:
            return self.items, np.zeros(self.items.size, np.float32)
        found = np.searchsorted(self.cumulative, rng.random(self.draws), side="right")
        drawn: NDArray[np.int64] = np.unique(np.minimum(found, self.items.size - 1))
        return self.items[drawn], self.log_chance[drawn]


def split_positions(sessions: Sessions, row: TwoTowerEmbedding, seed: int) -> tuple[I32, I64]:
    """List the positions to train on, ascending, and held-out ones: one each of random sessions.

    A position has an event behind it in the split. Of sessions that are no queries, only positions
    of the last `last_days` count. Nothing of a held-out session is trained on.
    """
    begin = first_positions(sessions, row)
    size = sessions.offsets[1:] - 1 - begin
    usable = np.flatnonzero(size > 0)
    begin, size = begin[usable], size[usable]
    rng = np.random.default_rng([seed, 0])
    n = min(HELD_OUT, -(-size.size // 20)) if size.size > 1 else 0
    held_out = np.sort(rng.choice(size.size, n, replace=False))
    drawn = begin[held_out] + (rng.random(n) * size[held_out]).astype(np.int64)
    return ranges(np.delete(begin, held_out), np.delete(size, held_out)), drawn


def first_positions(sessions: Sessions, row: TwoTowerEmbedding) -> I64:
    """Find where the positions of each session begin: at its first event that is young enough."""
    begin = sessions.offsets[:-1].copy()
    if row.last_days is not None and sessions.ts.size:
        since = int(sessions.ts.max()) - int(row.last_days * DAY)
        offsets = sessions.offsets[: sessions.first_query + 1]
        old = np.zeros(int(offsets[-1]) + 1, np.int32)
        np.cumsum(sessions.ts[: offsets[-1]] <= since, out=old[1:], dtype=np.int32)
        begin[: sessions.first_query] += np.diff(old[offsets])
    return begin


def ranges(begin: I64, size: I64) -> I32:
    """Concatenate the ranges begin : begin + size."""
    step = np.ones(int(size.sum()), np.int32)
    if size.size:
        step[np.cumsum(size) - size] = np.diff(begin, prepend=0) - np.append(0, size[:-1] - 1)
    return np.cumsum(step, out=step, dtype=np.int32)


def epoch_batches(position: I32, row: TwoTowerEmbedding, seed: int, epoch: int) -> list[I32]:
    """Cut the epoch's positions, in random order, into batches of much the same size."""
    rng = np.random.default_rng([seed, 1, epoch])
    if position.size > row.max_positions:  # an exact draw would sort them all
        drawn = position[np.unique(rng.integers(0, position.size, row.max_positions))]
    else:
        drawn = position
    order = drawn[rng.permutation(drawn.size)]
    return np.array_split(order, max(1, -(-order.size // row.batch_size)))
