"""Columns: what a log of impressions tells of the candidate's key, strictly before the list.

Rows of one time are simultaneous: none sees another. A click is known `delay_s` after its row, and
only of rows before IMPRESSIONS.clicks_until; src/data/impressions.py says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import CONTINUOUS, UNIQUE, IntEnum, verify
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, F64, I64, offsets_of_sizes
from src.core.run import Run
from src.data.impressions import read_log
from src.data.split_data import SplitData
from src.data.units import DAY
from src.features.as_of_kernel import decayed_sums
from src.features.base import Memory, QueryBatch, lower_names, require_known
from src.features.keyed_log import (
    ITEM,
    KeyedLogFeature,
    Lookup,
    key_index,
    query_column,
    span,
)

if TYPE_CHECKING:
    from src.data.recipe import Recipe

NEVER_S = 30 * DAY
"""Seconds since the last row, at most, and where there is none."""
FOREVER = 1 << 40  # seconds: a window without a limit
UNIT = 1 << 20
"""Logarithms of lengths are added up as whole numbers of 1 / UNIT."""
SMOOTHING = 10.0
"""Rows of the rate of all keys that are added to the rows of a key."""


@verify(UNIQUE, CONTINUOUS)
class AsOf(IntEnum):
    """What a column holds; recipes and names have the lower case of a name.

    The first five have a column per window, decayed one per half-life, the rest one.
    """

    COUNT = 0  # rows
    SHARE = 1  # of the rows of all candidates of the list
    CLICKS = 2
    RATE = 3  # clicks of rows whose clicks are known, smoothed by the rate of all keys
    DEPTH = 4  # mean logarithm of the lengths of the rows' lists, 0 without a row
    DECAYED = 5  # rows, each halved every half-life
    FIRST = 6  # seconds since the first row, -1 without one
    LAST = 7  # seconds since the last row, NEVER_S at most
    NEW = 8  # 1 without a row, else 0


WHAT = lower_names(AsOf)
OF_CLICKS = ("clicks", "rate")
Windows = tuple[int | None, ...]
"""Lengths in seconds before the impression; None: without a limit."""


class Known(NamedTuple):
    """Prefix sums over the rows of an index: of those with a known click, and of clicks."""

    rows: I64
    clicks: I64


@dataclass(frozen=True)
class AsOfFeature(KeyedLogFeature):
    """Counts the rows of a log with the candidate's key that are strictly earlier than its list."""

    log: str
    key: tuple[str, ...]
    what: tuple[str, ...]  # of WHAT
    windows: Windows = ()
    half_lives: tuple[int, ...] = ()  # seconds
    delay_s: int = 0  # a click is known so long after its row
    outcome: str = "click"  # column of the log that counts as click: 1, 0, null where hidden

    def __post_init__(self) -> None:
        require_known(f"as-of feature {self.label}", self.what, WHAT)
        if self.delay_s < 0:
            raise ValueError(f"as-of feature {self.label}: a delay is not negative")

    def columns(self) -> list[tuple[AsOf, int]]:
        """List what each column holds, and its window or half-life in seconds."""
        spans = {**dict.fromkeys(WHAT[: AsOf.DECAYED], self.windows), "decayed": self.half_lives}
        return [
            (AsOf[what.upper()], FOREVER if s is None else s)
            for what in self.what
            for s in spans.get(what, (0,))
        ]

    def names(self, recipe: Recipe) -> list[str]:
        late = f"_{span(self.delay_s)}_late" if self.delay_s else ""
        of_other = self.outcome != "click"
        ends = [
            (f"{self.outcome}_" if of_other and what.name.lower() in OF_CLICKS else "")
            + what.name.lower()
            + (f"_{'all' if s == FOREVER else span(s)}" if s else "")
            + (late if what.name.lower() in OF_CLICKS else "")
            for what, s in self.columns()
        ]
        return [f"{self.label}_{end}" for end in ends]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        """Rank what differs within a list; shares have the ranks of their counts.

        Where rows of different lists are compared, nothing is ranked.
        """
        if ITEM not in self.key or recipe.metric.pooled:
            return ()
        alike = (AsOf.NEW, AsOf.SHARE) if "count" in self.what else (AsOf.NEW,)
        return [n for n, (what, _) in enumerate(self.columns()) if what not in alike]

    def causal(self) -> Self:
        return self

    def memory(self, run: Run, split: str) -> Memory:
        return Memory() if run.engine.twin(__name__) else super().memory(run, split)

    def prepare(self, data: SplitData) -> None:
        """Make the table of a split where Spark computes it."""
        if own := data.run.engine.twin(__name__):
            own.build(self, data, self.names(data.run.recipe))

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        if own := batch.data.run.engine.twin(__name__):
            X[:, column : column + len(self.columns())] = own.read(self, batch)
            return
        until = query_column(batch, "clicks_until").astype(np.int64)
        found = self.compute(batch.data, self.lookup(batch), until, batch.pool.offsets)
        for number, values in enumerate(found):
            X[:, column + number] = values

    def compute(
        self, data: SplitData, lookup: Lookup, until: I64, offsets: I64
    ) -> Iterator[NDArray]:
        """Yield the columns; until: clicks_until of each candidate; offsets: CSR of the lists."""
        now = lookup.first_from(lookup.ts)
        seen = now > lookup.start
        for what, seconds in self.columns():
            if what == AsOf.NEW:
                yield ~seen
            elif what == AsOf.FIRST:
                yield np.where(seen, lookup.ts - lookup.time_at(lookup.start, seen), -1)
            elif what == AsOf.LAST:
                ago = lookup.ts - lookup.time_at(now - 1, seen)
                yield np.where(seen, np.minimum(ago, NEVER_S), NEVER_S)
            elif what == AsOf.DECAYED:
                yield self.decayed(data, lookup, now, seen, seconds)
            elif what in (AsOf.COUNT, AsOf.SHARE):
                count = now - lookup.first_from(lookup.ts - seconds)
                yield count if what == AsOf.COUNT else share_of_list(count, offsets)
            elif what == AsOf.DEPTH:
                first = lookup.first_from(lookup.ts - seconds)
                yield mean_depth(data, self.log, self.key, first, now)
            else:
                yield self.clicks(data, lookup, until, seconds, what == AsOf.RATE)

    def decayed(
        self, data: SplitData, lookup: Lookup, now: I64, seen: NDArray[np.bool_], half_life: int
    ) -> F64:
        """Count rows with a half-life: the sum after the last row before, faded since."""
        index = lookup.index
        key = ("as-of decay", self.log, self.key, half_life)
        sums = data.cached(key, lambda: decayed_sums(index.offsets, index.ts, half_life))
        out, row = np.zeros(now.size), now[seen] - 1
        out[seen] = sums[row] * np.exp2((index.ts[row] - lookup.ts[seen]) / half_life)
        return out

    def clicks(
        self, data: SplitData, lookup: Lookup, until: I64, seconds: int, rate: bool
    ) -> NDArray:
        """Count the known clicks of a window, or their smoothed rate."""
        rows, clicks = self.counted(data, lookup, self.key, until, seconds)
        if not rate:
            return clicks
        everything = key_index(data, self.log, ())
        of_all = Lookup(everything, everything.groups_of((), until.size), lookup.ts)
        all_rows, all_clicks = self.counted(data, of_all, (), until, FOREVER)
        prior = all_clicks / np.maximum(all_rows, 1)
        return (clicks + SMOOTHING * prior) / (rows + SMOOTHING)

    def counted(
        self, data: SplitData, lookup: Lookup, key: tuple[str, ...], until: I64, seconds: int
    ) -> tuple[I64, I64]:
        """Count the rows with a known click, and the clicks, of a window."""
        known = known_clicks(data, self.log, key, self.outcome)
        last = lookup.first_from(np.minimum(lookup.ts, until) - self.delay_s)
        first = np.minimum(lookup.first_from(lookup.ts - seconds), last)
        return known.rows[last] - known.rows[first], known.clicks[last] - known.clicks[first]


def known_clicks(data: SplitData, log: str, key: tuple[str, ...], outcome: str) -> Known:
    """Sum the rows with a known click, and the clicks, before each row of an index."""

    def make() -> Known:
        (click,) = read_log(data, log, outcome)
        click = np.nan_to_num(click, nan=-1)[key_index(data, log, key).order]
        return Known(offsets_of_sizes(click >= 0), offsets_of_sizes(click > 0))

    return data.cached(("as-of clicks", log, key, outcome), make)


def mean_depth(data: SplitData, log: str, key: tuple[str, ...], first: I64, end: I64) -> F64:
    """Average the logarithms of the lengths of the lists of rows first : end of an index.

    Sums are of whole UNITs, so exact: the order of rows of one time moves nothing. 0 without a row.
    """

    def make() -> I64:
        (length,) = read_log(data, log, "length")
        logarithm = np.rint(np.log(np.maximum(length, 1)) * UNIT).astype(np.int64)
        return offsets_of_sizes(logarithm[key_index(data, log, key).order])

    sums = data.cached(("as-of depth", log, key), make)
    return (sums[end] - sums[first]) / UNIT / np.maximum(end - first, 1)


def share_of_list(count: NDArray, offsets: I64) -> F64:
    """Divide counts by their sums over each list; 0 where the sum is 0."""
    sizes = np.diff(offsets)
    query = np.repeat(np.arange(sizes.size), sizes)
    total = np.bincount(query, count, minlength=sizes.size)[query]
    return count / np.maximum(total, 1.0)
