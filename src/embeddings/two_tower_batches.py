"""What a sequence model reads and learns from: windows of a session's last events, as arrays.

A *position* is the number of an event of the split; its window is that event and those before it in
the session, its targets the events that follow. All arrays are gathered by index arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, F64, I32, I64, count_items
from src.core.early_stopping import HELD_OUT
from src.data.sessions import Sessions
from src.data.units import DAY, HOUR
from src.embeddings.rows import TwoTowerEmbedding

GAPS = 24  # buckets of seconds: bucket b from 2 ** (b - 1) on, 0 for less than a second
NO_ITEM = -1


@dataclass(frozen=True)
class Windows:
    """Windows of some positions, newest event first; what is not there: item -1, the rest 0.

    int64 (positions, last): item; kind, the event's type; ago, bucket of the seconds from it to the
    newest event; step, of those to the next newer one. hour: of the day, of the newest event.
    """

    item: I64
    kind: I64
    ago: I64
    step: I64
    hour: I64

    @classmethod
    def of(cls, sessions: Sessions, position: I32 | I64, last: int) -> Windows:
        """The last `last` events up to each position, itself included."""
        begin = sessions.offsets[session_of(sessions, position)]
        back = np.minimum(np.arange(last), (position - begin)[:, None])
        place = position[:, None] - back  # clipped to the session's first event
        there = back == np.arange(last)
        ts = sessions.ts[place].astype(np.int64)
        ago = ts[:, :1] - ts
        step = np.diff(ago, axis=1, prepend=0)
        return cls(
            np.where(there, sessions.item[place], NO_ITEM).astype(np.int64),
            np.where(there, sessions.type[place], 0).astype(np.int64),
            np.where(there, bucket(ago), 0), np.where(there, bucket(step), 0),
            ts[:, 0] // HOUR % 24,
        )  # fmt: skip

    @classmethod
    def alone(cls, item: I64, kind: int, last: int) -> Windows:
        """Windows of one event each, at noon."""
        none = np.zeros((item.size, last), np.int64)
        first = np.arange(last) == 0
        window = np.where(first, item[:, None], NO_ITEM)
        return cls(window, none + kind * first, none, none, np.full(item.size, 12))


@dataclass(frozen=True)
class Targets:
    """The events after some positions, and the towers' rows: one per position and type wanted.

    position (rows): number in the batch; type (rows); row, item, weight (targets, by position, then
    in the order of the session): the row that each belongs to, and its share of the position's 1.
    """

    position: I64
    type: I64
    row: I64
    item: I64
    weight: F32

    @classmethod
    def of(cls, sessions: Sessions, position: I32 | I64, ahead: int) -> Targets:
        """Up to `ahead` events of the session after each position; each has one at least."""
        end = sessions.offsets[session_of(sessions, position) + 1]
        place = position[:, None] + 1 + np.arange(ahead)
        there = place < end[:, None]
        place, owner = place[there], np.nonzero(there)[0]
        types = sessions.type[place].astype(np.int64)
        width = int(types.max(initial=0)) + 1
        rows, row = np.unique(owner * width + types, return_inverse=True)
        weight = (1.0 / there.sum(axis=1))[owner].astype(np.float32)
        return cls(rows // width, rows % width, row, sessions.item[place].astype(np.int64), weight)


@dataclass(frozen=True)
class Shard:
    """Positions of a batch: their windows, which events are read, and what followed."""

    windows: Windows
    there: NDArray[np.bool_]
    targets: Targets

    @property
    def item(self) -> I64:
        """Items of the windows, then of the targets."""
        return np.concatenate([np.maximum(self.windows.item.ravel(), 0), self.targets.item])


@dataclass(frozen=True)
class Sample:
    """The items drawn for a batch: their rows among the vectors at hand, how likely each was."""

    slot: I64
    log_chance: F32
    n: int

    @cached_property
    def number(self) -> I64:
        """Which of the drawn items each row at hand is, or -1."""
        number = np.full(self.n, -1)
        number[self.slot] = np.arange(self.slot.size)
        return number


def session_of(sessions: Sessions, position: I32 | I64) -> I64:
    """Session of each event number."""
    return np.searchsorted(sessions.offsets, position, side="right") - 1


def bucket(seconds: I64) -> I64:
    """0 below a second, then one bucket per doubling, GAPS - 1 at most."""
    return np.minimum(np.frexp(np.maximum(seconds, 0).astype(np.float64))[1], GAPS - 1)


def split_positions(sessions: Sessions, row: TwoTowerEmbedding, seed: int) -> tuple[I32, I64]:
    """Positions to learn from, ascending, and held-out ones: one each of sessions drawn by chance.

    Only positions with an event behind them in the split; of sessions that are no queries, only
    those in the last `last_days`. Held-out sessions are not learned from at all.
    """
    begin = first_positions(sessions, row)
    size = sessions.offsets[1:] - 1 - begin
    some = np.flatnonzero(size > 0)
    begin, size = begin[some], size[some]
    rng = np.random.default_rng([seed, 0])
    n = min(HELD_OUT, -(-size.size // 20)) if size.size > 1 else 0
    held = np.sort(rng.choice(size.size, n, replace=False))
    held_out = begin[held] + (rng.random(n) * size[held]).astype(np.int64)
    return ranges(np.delete(begin, held), np.delete(size, held)), held_out


def first_positions(sessions: Sessions, row: TwoTowerEmbedding) -> I64:
    """Where the positions of each session begin: at its first event that is young enough."""
    begin = sessions.offsets[:-1].copy()
    if row.last_days is not None and sessions.ts.size:
        since = int(sessions.ts.max()) - int(row.last_days * DAY)
        border = sessions.offsets[: sessions.first_query + 1]
        old = np.zeros(int(border[-1]) + 1, np.int32)
        np.cumsum(sessions.ts[: border[-1]] <= since, out=old[1:], dtype=np.int32)
        begin[: sessions.first_query] += np.diff(old[border])
    return begin


def ranges(begin: I64, size: I64) -> I32:
    """begin, begin + 1, ..., so many of each, one after the other."""
    step = np.ones(int(size.sum()), np.int32)
    if size.size:
        step[np.cumsum(size) - size] = np.diff(begin, prepend=0) - np.append(0, size[:-1] - 1)
    return np.cumsum(step, out=step, dtype=np.int32)


def epoch_batches(position: I32, row: TwoTowerEmbedding, seed: int, epoch: int) -> list[I32]:
    """The epoch's positions in random order, cut into batches of much the same size."""
    rng = np.random.default_rng([seed, 1, epoch])
    if position.size > row.positions:  # an exact draw would sort them all
        drawn = position[np.unique(rng.integers(0, position.size, row.positions))]
    else:
        drawn = position
    order = drawn[rng.permutation(drawn.size)]
    return np.array_split(order, max(1, -(-order.size // row.batch)))


class Negatives:
    """Items drawn with a chance by their number of events, and how likely each is in a draw."""

    def __init__(self, sessions: Sessions, row: TwoTowerEmbedding) -> None:
        count = count_items(sessions.item, sessions.n_items)
        self.items = np.flatnonzero(count)
        self.draws = row.negatives
        chance = count[self.items].astype(np.float64) ** row.popularity
        self.border: F64 = np.cumsum(chance / max(chance.sum(), 1e-300))
        share = np.diff(self.border, prepend=0.0)
        # of being drawn at least once; the softmax over the drawn items divides by it
        self.log_chance: F32 = np.log(-np.expm1(self.draws * np.log1p(-share.clip(0, 1 - 1e-9))))
        self.log_chance = self.log_chance.astype(np.float32)

    def draw(self, rng: np.random.Generator) -> tuple[I64, F32]:
        """Different items, ascending, and the logarithm of the chance that each had to be drawn.

        All items, with certainty, where there are no more than draws.
        """
        if self.items.size <= self.draws:
            return self.items, np.zeros(self.items.size, np.float32)
        found = np.searchsorted(self.border, rng.random(self.draws), side="right")
        drawn: NDArray[np.int64] = np.unique(np.minimum(found, self.items.size - 1))
        return self.items[drawn], self.log_chance[drawn]
