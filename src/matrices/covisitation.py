"""Co-visitation: which items stand beside each other in sessions.

src/matrices/self_merge.py defines the matrix as a polars query, which is what runs on a GPU;
src/matrices/count.py counts the very same table on the CPU. A test holds them equal for every row
of every recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import polars as pl

from src.core.parquet import TableWriter, count_rows
from src.data import paths
from src.data.split_data import SplitData
from src.data.units import Weights
from src.matrices import count, event_index
from src.matrices.base import ItemMatrix
from src.matrices.kernel_params import reach
from src.matrices.neighbours import NEIGHBOURS
from src.matrices.self_merge import self_merge
from src.matrices.span import Span

if TYPE_CHECKING:
    from src.data.recipe import Recipe

GPU_ITEMS = 10_000  # items of one self-merge on a GPU: bounds the pairs that exist at a time
LARGEST_GROUP = 8  # rows of a walk: more gain little, and a kill loses the rows in hand
BYTES_ON_DISK = 2.0  # per event and row, about


@dataclass(frozen=True)
class CovisitationMatrix(ItemMatrix):
    """Which pairs of a session's events vote, and how much.

    An event pair (x, y) of one session votes for neighbour y of item x when x is not y and every
    condition below holds. Its vote is the product of all weights; a vote of 0 is no vote. Events
    are first filtered (`types`, `last_days`), then trimmed (`last_events`); positions, session
    lengths and item counts are those of the events that are left.
    """

    types: tuple[int, ...] | None = None  # event types kept; None: all
    last_days: float | None = None  # only events of the last days of the split's own history
    last_events: int | None = None  # only the last events of each session
    first_only: bool = False  # x is the first event of its session
    direction: str = "both"  # "forward": y comes after x, by position
    max_gap_s: int | None = None  # |ts_y - ts_x| < so many seconds
    max_steps: int | None = None  # at most so many positions apart
    source_weight: Weights = (1.0, 1.0, 1.0)  # by the type of x
    target_weight: Weights = (1.0, 1.0, 1.0)  # by the type of y
    time_weight: float = 0.0  # times 1 + this * (age of x: 0 the oldest event, 1 the newest)
    half_life: float | None = None  # times 0.5 ** (seconds apart / half_life)
    step_decay: float = 1.0  # times step_decay ** (positions apart - 1)
    dedupe: bool = True  # only the heaviest vote of a session for (x, y) counts; else all do
    session_norm: bool = False  # times 1 / ln(1 + session length): ItemCF's penalty for activity
    item_norm: float = 0.0  # in the end, divided by (count of x * count of y) ** item_norm
    top_n: int = 40  # neighbours kept: by weight, ties by item id

    def __post_init__(self) -> None:
        if self.direction not in ("both", "forward"):
            raise ValueError(f"matrix {self.name}: direction is 'both' or 'forward'")
        weights = self.source_weight + self.target_weight
        if min(weights) < 0 or not 0 < self.step_decay <= 1 or self.top_n < 1:
            raise ValueError(
                f"matrix {self.name}: weights are at least 0, top_n at least 1, "
                "step_decay in (0, 1]"
            )
        bounds = (self.max_steps, self.max_gap_s, self.half_life, self.last_events, self.types)
        if bounds == (None,) * 5 and not self.first_only:
            raise ValueError(
                f"matrix {self.name}: every pair of a long session would vote; "
                "set last_events, max_gap_s, max_steps or half_life"
            )

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where weights lack an event type."""
        for weights in (self.source_weight, self.target_weight):
            recipe.check_weights(f"matrix {self.name}", weights)

    @classmethod
    def groups(cls, data: SplitData, rows: Sequence[Self]) -> list[list[Self]]:
        """Group rows of the same event types and similar reach: a group shares one walk.

        A group is as large as the memory allows; on a GPU every row is alone.
        """
        if data.run.engine.by_self_merge:
            return [[row] for row in rows]
        fixed, per_row = _memory(data)
        room = int(min(LARGEST_GROUP, max(1, (data.run.budget.memory - fixed) // per_row - 1)))
        by_types: dict[object, list[Self]] = {}
        for row in sorted(rows, key=reach):
            by_types.setdefault(row.types, []).append(row)
        return [same[i : i + room] for same in by_types.values() for i in range(0, len(same), room)]

    @classmethod
    def write(cls, data: SplitData, parts: dict[Path, Self]) -> None:
        """Count the rows of a group in one go, range after range of items."""
        run, rows = data.run, list(parts.values())
        name = f"{data.split} {len(rows)} matrices"
        disk = BYTES_ON_DISK * count_rows(paths.events(run, data.split)) * len(rows)
        if run.engine.by_self_merge:
            run.budget.claim(name, 0, disk)
            tables, step = self_merged(data, rows), GPU_ITEMS
        else:
            fixed, per_row = _memory(data)
            run.budget.claim(name, fixed + per_row * (len(rows) + 1), disk)
            tables, step = _counted(data, rows), count.RANGE
        ranges = -(-count_rows(paths.items(run)) // step)
        with ExitStack() as stack:
            writers = [stack.enter_context(TableWriter(part, NEIGHBOURS)) for part in parts]
            for of_range in run.progress(tables, name, ranges):
                for writer, table in zip(writers, of_range, strict=True):
                    writer.add(table)


def _memory(data: SplitData) -> tuple[int, int]:
    """Bytes for the index of all events, and for each row of a walk and one more."""
    run, split = data.run, data.split
    events, items = count_rows(paths.events(run, split)), count_rows(paths.items(run))
    fixed = event_index.memory(events, data.n_sessions, items, run.engine.threads)
    return fixed, count.row_memory(items, run.engine.threads)


def _counted(data: SplitData, rows: Sequence[CovisitationMatrix]) -> Iterator[list[pl.DataFrame]]:
    """Yield NEIGHBOURS of every row, range after range of items, from one walk."""
    index, span = event_index.of_split(data, rows[0].types), Span.of(data.run, data.split)
    for low, matrices in count.count(index, list(rows), span):
        yield [matrix.to_frame(low) for matrix in matrices]


def self_merged(
    data: SplitData, rows: Sequence[CovisitationMatrix]
) -> Iterator[list[pl.DataFrame]]:
    """Yield NEIGHBOURS of one row, range after range of items, from its definition."""
    run, split = data.run, data.split
    events, span, (row,) = pl.scan_parquet(paths.events(run, split)), Span.of(run, split), rows
    for first in range(0, count_rows(paths.items(run)), GPU_ITEMS):
        query = self_merge(events, row, span, (first, first + GPU_ITEMS))
        yield [run.engine.collect(query)]
