"""Step 2: the matrix rows of a split, in groups that share a walk and fit the memory allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
from numba import get_num_threads

from src.core.parquet import TableWriter, count_rows
from src.core.run import Run
from src.data import events_kernel
from src.data.sessions import Sessions
from src.matrices import count_kernel as matrix_kernel
from src.matrices import swing_kernel
from src.matrices.definition import Span, self_merge
from src.matrices.index_kernel import View, make_view, view_bytes
from src.matrices.neighbours import MATRIX, Neighbours
from src.matrices.params import reach
from src.matrices.rows import CovisitationMatrix, SwingMatrix

GPU_ITEMS = 10_000  # items of one self-merge on a GPU: bounds the pairs that exist at a time
TOGETHER = 8  # rows of a walk: more gain little, and a kill loses the rows in hand
SWING_ITEMS = 10_000  # of a SwingMatrix, whose neighbours are found and written at a time
BYTES_ON_DISK = 2.0  # per event and row, about

Pieces = Iterator[list[pl.DataFrame]]
"""For one range of items after the other, a table per row."""


class Counter:
    """Counts groups of rows of a split; those on the same event types share a view of them."""

    def __init__(self, run: Run, split: str) -> None:
        self.run, self.folder = run, run.output / split
        self.events = pl.scan_parquet(self.folder / "events.parquet")
        first, last = self.events.select(a=pl.min("ts"), b=pl.max("ts")).collect().row(0)
        self.span = Span(first, last)
        self.n_items = count_rows(run.output / "items.parquet")
        self.view: tuple[object, View] | None = None

    @property
    def rows(self) -> list[CovisitationMatrix]:
        """Those of events; the others are of sessions."""
        return [row for row in self.run.recipe.matrices if isinstance(row, CovisitationMatrix)]

    def groups(self) -> list[list[CovisitationMatrix]]:
        """The rows, in the groups that are counted together."""
        if self.run.engine.name == "gpu":
            return [[row] for row in self.rows]
        fixed, row = self.need()
        room = int(min(TOGETHER, max(1, (self.run.budget.memory - fixed) // row - 1)))
        by_types: dict[object, list[CovisitationMatrix]] = {}
        for matrix in sorted(self.rows, key=reach):
            by_types.setdefault(matrix.types, []).append(matrix)
        return [rows[i : i + room] for rows in by_types.values() for i in range(0, len(rows), room)]

    def need(self) -> tuple[int, int]:
        """Bytes of memory for the view of all events, and for each row of a walk and one more."""
        events, sessions = (
            count_rows(self.folder / f"{n}.parquet") for n in ("events", "sessions")
        )
        threads = self.run.engine.threads
        fixed = view_bytes(events, sessions, self.n_items, threads)
        return fixed, matrix_kernel.row_bytes(self.n_items, threads)

    def writer(self, rows: dict[Path, CovisitationMatrix]) -> Callable[[dict[Path, Path]], None]:
        """What makes the files of some rows."""

        def write(parts: dict[Path, Path]) -> None:
            on_gpu = self.run.engine.name == "gpu"
            fixed, row = (0, 0) if on_gpu else self.need()
            disk = BYTES_ON_DISK * count_rows(self.folder / "events.parquet") * len(parts)
            name = f"{self.folder.name} {len(parts)} matrices"
            self.run.budget.claim(name, fixed + row * (len(parts) + 1), disk)
            on = self.on_gpu if on_gpu else self.on_cpu
            with ExitStack() as stack:
                writers = [
                    stack.enter_context(TableWriter(part, MATRIX)) for part in parts.values()
                ]
                step = GPU_ITEMS if on_gpu else matrix_kernel.RANGE
                pieces = on([rows[path] for path in parts])
                for tables in self.run.progress(pieces, name, -(-self.n_items // step)):
                    for writer, table in zip(writers, tables, strict=True):
                        writer.add(table)

        return write

    def swing_writer(self, row: SwingMatrix) -> Callable[[Path], None]:
        """What makes the file of a row of sessions."""

        def write(part: Path) -> None:
            n, threads = self.n_items, self.run.engine.threads
            events, sessions = (
                count_rows(self.folder / f"{n}.parquet") for n in ("events", "sessions")
            )
            need = 24 * events + 24 * sessions + 12 * n * (row.sessions + threads)
            name = f"{self.folder.name} {row.name}"
            self.run.budget.claim(name, need, 8 * row.top_n * n)
            s = Sessions.load(self.run.output, self.folder.name)
            pieces = swing(s, row)
            with TableWriter(part, MATRIX) as writer:
                for table in self.run.progress(pieces, name, -(-n // SWING_ITEMS)):
                    writer.add(table)

        return write

    def on_cpu(self, rows: list[CovisitationMatrix]) -> Pieces:
        """All rows in one walk."""
        if self.view is None or self.view[0] != rows[0].types:
            self.view = None
            sessions = Sessions.load(self.run.output, self.folder.name)
            self.view = rows[0].types, make_view(sessions, rows[0].types)
            del sessions
        for low, matrices in matrix_kernel.count(self.view[1], rows, self.span):
            yield [matrix.to_frame(low) for matrix in matrices]

    def on_gpu(self, rows: list[CovisitationMatrix]) -> Pieces:
        """The self-merge of one row."""
        for a in range(0, self.n_items, GPU_ITEMS):
            query = self_merge(self.events, rows[0], self.span, (a, a + GPU_ITEMS))
            yield [self.run.engine.collect(query)]


def swing(s: Sessions, row: SwingMatrix) -> Iterator[pl.DataFrame]:
    """The MATRIX of a row of sessions, a range of items after the other."""
    shapes = events_kernel.shapes(s.offsets, s.ts)
    starts, latest, _ = events_kernel.latest_sessions(
        s.offsets, s.item, shapes, s.n_items, row.sessions
    )
    holders = np.searchsorted(s.offsets, latest[:, events_kernel.BEGIN], side="right") - 1
    item_starts, items = swing_kernel.latest_items(s.offsets, s.item, row.items)
    for low in range(0, s.n_items, SWING_ITEMS):
        high = min(low + SWING_ITEMS, s.n_items)
        size, near, weight = swing_kernel.count(
            starts, holders, item_starts, items, row.alpha, low, high, row.top_n,
            get_num_threads(),
        )  # fmt: skip
        offsets = np.concatenate([[0], np.cumsum(size)])
        yield Neighbours(offsets, near[near >= 0], weight[near >= 0]).to_frame(low)
