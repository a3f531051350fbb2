"""Co-visitation: items that occur together in sessions.

src/matrices/self_merge.py defines the matrix as a polars query, which runs on a GPU.
src/matrices/count.py counts the same table on the CPU. A test compares both for every row of every
recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

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

GPU_ITEMS = 10_000  # items of a self-merge on a GPU; bounds the pairs that are in memory
LARGEST_GROUP = 8  # rows of a walk; more rows save little time, and a kill loses all of them
BYTES_ON_DISK = 2.0  # per event and row, about


@dataclass(frozen=True)
class CovisitationMatrix(ItemMatrix):
    """Sum of the votes of event pairs (x, y) of one session for neighbour y of item x.

    A pair votes if its items differ and all conditions of the row hold. Its vote is the product of
    all weights; a vote of 0 does not count. Events are first filtered by `types` and `last_days`,
    then cut to the `last_events`. Positions, session lengths and item counts are those of the
    remaining events.
    """

    types: tuple[int, ...] | None = None  # event types kept; None: all
    last_days: float | None = None  # only events of the last days of the split
    last_events: int | None = None  # only the last events of each session
    first_only: bool = False  # x is the first event of its session
    backward: float = 1.0  # weight where y comes before x, by position; 0: y comes after x
    max_gap_s: int | None = None  # |ts_y - ts_x| is less, in seconds
    max_steps: int | None = None  # largest distance of positions
    source_weight: Weights = (1.0, 1.0, 1.0)  # by the type of x
    target_weight: Weights = (1.0, 1.0, 1.0)  # by the type of y
    time_weight: float = 0.0  # weight 1 + time_weight * t; t grows from 0 to 1 over the split
    half_life: float | None = None  # weight 0.5 ** (|ts_y - ts_x| / half_life), in seconds
    step_decay: float = 1.0  # weight step_decay ** (distance of positions - 1)
    dedupe: bool = True  # only the heaviest vote of a session for (x, y) counts; else all votes
    session_norm: bool = False  # weight 1 / ln(1 + session length), as ItemCF has it
    item_norm: float = 0.0  # the sum is divided by (count of x * count of y) ** item_norm
    top_n: int = 40  # neighbours kept: by weight, ties by item id

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 in (self.half_life, self.last_days):
            raise ValueError(f"matrix {self.name}: half_life and last_days are above 0, or None")
        if min(self.source_weight + self.target_weight) < 0 or not 0 < self.step_decay <= 1:
            raise ValueError(
                f"matrix {self.name}: weights are at least 0, step_decay above 0 and at most 1"
            )
        bounds = (self.max_steps, self.max_gap_s, self.half_life, self.last_events, self.types)
        if bounds == (None,) * 5 and not self.first_only:
            raise ValueError(
                f"matrix {self.name}: every pair of a long session would vote; "
                "set last_events, max_gap_s, max_steps or half_life"
            )

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where weights lack an event type, or a type is none of the recipe."""
        super().check(recipe)
        if set(self.types or ()) - set(range(len(recipe.types))):
            raise ValueError(f"matrix {self.name}: types are numbers below {len(recipe.types)}")
        for weights in (self.source_weight, self.target_weight):
            recipe.check_weights(f"matrix {self.name}", weights)

    @classmethod
    def groups(cls, data: SplitData, rows: Sequence[Self]) -> list[list[Self]]:
        """Group rows of the same event types and similar reach, which are counted in one walk.

        A group is as large as the memory allows. On a GPU, every row is alone.
        """
        if data.run.engine.by_self_merge:
            return [[row] for row in rows]
        memory = _memory(data)
        room = (data.run.budget.memory - memory.index_bytes) // memory.row_bytes - 1
        size = int(min(LARGEST_GROUP, max(1, room)))
        by_types: dict[object, list[Self]] = {}
        for row in sorted(rows, key=reach):
            by_types.setdefault(row.types, []).append(row)
        return [same[i : i + size] for same in by_types.values() for i in range(0, len(same), size)]

    @classmethod
    def write(cls, data: SplitData, rows: dict[Path, Self]) -> None:
        """Count the rows of a group in one walk, range by range of items."""
        run, group = data.run, list(rows.values())
        name = f"{data.split} {len(group)} matrices"
        disk = BYTES_ON_DISK * count_rows(paths.events(run, data.split)) * len(group)
        if run.engine.by_self_merge:
            run.budget.claim(name, 0, disk)
            tables, range_size = self_merged(data, group), GPU_ITEMS
        else:
            memory = _memory(data)
            run.budget.claim(name, memory.index_bytes + memory.row_bytes * (len(group) + 1), disk)
            tables, range_size = _counted(data, group), count.RANGE
        n_ranges = -(-count_rows(paths.items(run)) // range_size)
        with ExitStack() as stack:
            writers = [stack.enter_context(TableWriter(path, NEIGHBOURS)) for path in rows]
            for range_tables in run.progress(tables, name, n_ranges):
                for writer, table in zip(writers, range_tables, strict=True):
                    writer.add(table)


class WalkMemory(NamedTuple):
    """Memory of a walk: index_bytes + row_bytes * (rows + 1)."""

    index_bytes: int
    row_bytes: int


def _memory(data: SplitData) -> WalkMemory:
    """Estimate the memory of a walk over a split."""
    run, split = data.run, data.split
    events, items = count_rows(paths.events(run, split)), count_rows(paths.items(run))
    index_bytes = event_index.memory(events, data.n_sessions, items, run.engine.threads)
    return WalkMemory(index_bytes, count.row_memory(items, run.engine.threads))


def _counted(data: SplitData, rows: Sequence[CovisitationMatrix]) -> Iterator[list[pl.DataFrame]]:
    """Yield NEIGHBOURS of every row, range by range of items, from one walk."""
    index, span = event_index.of_split(data, rows[0].types), Span.of(data.run, data.split)
    for low, matrices in count.count(index, list(rows), span):
        yield [matrix.to_frame(low) for matrix in matrices]


def self_merged(
    data: SplitData, rows: Sequence[CovisitationMatrix]
) -> Iterator[list[pl.DataFrame]]:
    """Yield NEIGHBOURS of the only row, range by range of items, by self-merges."""
    run, split = data.run, data.split
    events, span, (row,) = pl.scan_parquet(paths.events(run, split)), Span.of(run, split), rows
    for first in range(0, count_rows(paths.items(run)), GPU_ITEMS):
        query = self_merge(events, row, span, (first, first + GPU_ITEMS))
        yield [run.engine.collect(query)]
