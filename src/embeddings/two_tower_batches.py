"""Make the training batches of a two-tower net: positions, their targets, sampled negatives.

A *position* is the index of an event of the split, with another event after it in its session. The
net reads the session up to the position. The targets of a position are the events after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, F64, I32, I64
from src.data.sequence_batch import SequenceBatch, session_of
from src.data.sessions import Sessions
from src.embeddings.base import HELD_OUT_ONE_IN, MAX_HELD_OUT

if TYPE_CHECKING:
    from src.embeddings.two_tower import TwoTowerEmbedding

MICRO_BATCHES = 2
"""Shares of a batch, a thread each. The result depends on this number, not on that of threads."""


@dataclass(frozen=True)
class Targets:
    """The targets of some positions, and a query for each position and event type of its targets.

    int64 (queries): position, the index in the batch; type, the event type. Targets stand by
    position, then in the order of the session. int64 (targets): query, the index of the target's
    query; item. float32 (targets): weight, 1 / number of targets of the position.
    """

    position: I64
    type: I64
    query: I64
    item: I64
    weight: F32

    @classmethod
    def of(cls, sessions: Sessions, position: I32 | I64, n_targets: int) -> Targets:
        """Take the next n_targets events after each position, or as many as the session has."""
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
    """The share of a batch that one thread trains on.

    mask: bool (positions, max_len), the events that the encoder reads; dropout hides the others.
    """

    sequences: SequenceBatch
    mask: NDArray[np.bool_]
    targets: Targets

    @classmethod
    def of(
        cls, sessions: Sessions, position: I32, row: TwoTowerEmbedding, rng: np.random.Generator
    ) -> MicroBatch:
        """Gather sequences and targets of positions; the newest event is never hidden."""
        sequences = SequenceBatch.of(sessions, position, row.max_len)
        mask = sequences.mask
        mask[:, 1:] &= rng.random((position.size, row.max_len - 1)) >= row.dropout
        return cls(sequences, mask, Targets.of(sessions, position, row.n_targets))

    @property
    def item(self) -> I64:
        """Items of all events of the sequences (padding: item 0), then of the targets."""
        return np.concatenate([np.maximum(self.sequences.item.ravel(), 0), self.targets.item])


@dataclass(frozen=True)
class SampledNegatives:
    """The items drawn for a batch, as rows of the vectors that are gathered for the batch.

    local_row: int64 (negatives), the row of each. log_chance: float32 (negatives), ln of the chance
    that each is drawn. n_rows: number of gathered vectors.
    """

    local_row: I64
    log_chance: F32
    n_rows: int

    @cached_property
    def negative_of_row(self) -> I64:
        """Index of the negative in each row, -1 where the row holds none; int64 (n_rows)."""
        negative = np.full(self.n_rows, -1)
        negative[self.local_row] = np.arange(self.local_row.size)
        return negative


class NegativeSampler:
    """Draws items in proportion to (events of the item) ** ns_exponent."""

    def __init__(self, sessions: Sessions, row: TwoTowerEmbedding) -> None:
        count = sessions.count_items()
        self.items = np.flatnonzero(count)
        self.draws = row.batch_negatives
        chance = count[self.items].astype(np.float64) ** row.ns_exponent
        self.cumulative: F64 = np.cumsum(chance / max(chance.sum(), 1e-300))
        share = np.diff(self.cumulative, prepend=0.0)
        # chance of at least one draw: the sampled softmax divides by it
        log_chance = np.log(-np.expm1(self.draws * np.log1p(-share.clip(0, 1 - 1e-9))))
        self.log_chance: F32 = log_chance.astype(np.float32)

    def draw(self, rng: np.random.Generator) -> tuple[I64, F32]:
        """Draw different items; return them, ascending, and ln of the chance that each is drawn.

        Where there are no more items than draws, all items are returned, with chance 1.
        """
        if self.items.size <= self.draws:
            return self.items, np.zeros(self.items.size, np.float32)
        index = np.searchsorted(self.cumulative, rng.random(self.draws), side="right")
        drawn: NDArray[np.int64] = np.unique(np.minimum(index, self.items.size - 1))
        return self.items[drawn], self.log_chance[drawn]


@dataclass(frozen=True)
class Batch:
    """The positions of a step of the optimizer, with all that the net reads.

    items: int64, ascending, all that occur; their vectors are gathered once. local_row: for each
    micro-batch, the row of each of its items in these vectors.
    """

    size: int  # positions
    items: I64
    negatives: SampledNegatives
    micro_batches: list[MicroBatch]
    local_row: list[I64]

    @classmethod
    def of(
        cls, sessions: Sessions, position: I32, row: TwoTowerEmbedding, sampler: NegativeSampler,
        rng: np.random.Generator,
    ) -> Batch:  # fmt: skip
        """Draw the negatives of a batch, and gather sequences and targets of its positions."""
        drawn, log_chance = sampler.draw(rng)
        shares = [share for share in np.array_split(position, MICRO_BATCHES) if share.size]
        micro_batches = [MicroBatch.of(sessions, share, row, rng) for share in shares]
        ids = [drawn, *(batch.item for batch in micro_batches)]
        items, local = np.unique(np.concatenate(ids), return_inverse=True)
        of_drawn, *local_row = np.split(local, np.cumsum([each.size for each in ids])[:-1])
        negatives = SampledNegatives(of_drawn, log_chance, items.size)
        return cls(position.size, items, negatives, micro_batches, local_row)


def split_positions(sessions: Sessions, seed: int) -> tuple[I32, I64]:
    """List the positions to train on, and one position of each held-out session; both ascend.

    No other position of a held-out session is trained on or scored.
    """
    begin, size = sessions.offsets[:-1], np.diff(sessions.offsets) - 1
    begin, size = begin[size > 0], size[size > 0]
    rng = np.random.default_rng([seed, 0])
    n = min(MAX_HELD_OUT, -(-size.size // HELD_OUT_ONE_IN)) if size.size > 1 else 0
    held_out = np.sort(rng.choice(size.size, n, replace=False))
    drawn = begin[held_out] + (rng.random(n) * size[held_out]).astype(np.int64)
    return ranges(np.delete(begin, held_out), np.delete(size, held_out)), drawn


def ranges(begin: I64, size: I64) -> I32:
    """Concatenate the ranges begin : begin + size, all of size 1 or more."""
    step = np.ones(int(size.sum()), np.int32)
    if size.size:
        step[np.cumsum(size) - size] = np.diff(begin, prepend=0) - np.append(0, size[:-1] - 1)
    return np.cumsum(step, out=step, dtype=np.int32)


def epoch_batches(position: I32, row: TwoTowerEmbedding, seed: int, epoch: int) -> list[I32]:
    """Shuffle the positions of an epoch, and cut them into batches of nearly equal size.

    Of more than max_positions positions, as many are drawn with replacement, and each one counts
    once: a draw without replacement would shuffle them all.
    """
    rng = np.random.default_rng([seed, 1, epoch])
    if position.size > row.max_positions:
        drawn = position[np.unique(rng.integers(0, position.size, row.max_positions))]
    else:
        drawn = position
    order = drawn[rng.permutation(drawn.size)]
    return np.array_split(order, max(1, -(-order.size // row.batch_size)))
