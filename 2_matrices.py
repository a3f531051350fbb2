"""Count every item-item matrix of the recipe, for all splits.

    python 2_matrices.py --dataset otto

Reads  output/<dataset>/<split>/events.parquet  (step 1)
Writes output/<dataset>/<split>/matrices/<row>.parquet: aid_x, aid_y, weight, heaviest first
"""

from pathlib import Path

import polars as pl

from src import matrix_kernel, view_kernel
from src.events import Sessions
from src.matrices import Span, self_merge
from src.recipe import MatrixRow
from src.run import Run, main

GPU_ITEMS = 10_000  # items of one self-merge on a GPU: bounds the pairs that exist at a time


def body(run: Run) -> None:
    for split in run.splits():
        count = count_on_gpu if run.engine.name == "gpu" else Counter(run, split).count
        for row in sorted(run.recipe.matrices, key=lambda r: repr(view_kernel.view_key(r))):
            with run.step(f"{split} {row.name}") as facts:
                path = run.table(split, row.name)

                def make(part: Path, row: MatrixRow = row, split: str = split) -> None:
                    count(run, split, row).write_parquet(part)  # noqa: B023

                events = run.output / split / "events.parquet"
                facts["made" if run.build(path, make, row, [events]) else "kept"] = ""
                facts["rows"] = pl.scan_parquet(path).select(pl.len()).collect().item()


class Counter:
    """Counts on the CPU; rows that look at the same events share one index of them."""

    def __init__(self, run: Run, split: str) -> None:
        self.run, self.split = run, split
        self.sessions: Sessions | None = None
        self.key: object = None

    def count(self, run: Run, split: str, row: MatrixRow) -> pl.DataFrame:
        if self.sessions is None:
            self.sessions = Sessions.load(run.output, split)
            self.span = Span(int(self.sessions.ts.min()), int(self.sessions.ts.max()))
        if self.key != view_kernel.view_key(row):
            self.view = view_kernel.make_view(self.sessions, row, self.span)
            self.key = view_kernel.view_key(row)
        return matrix_kernel.count(self.view, row, self.span).to_frame()


def count_on_gpu(run: Run, split: str, row: MatrixRow) -> pl.DataFrame:
    """The self-merge in ranges of items."""
    events = pl.scan_parquet(run.output / split / "events.parquet")
    first, last = run.engine.collect(
        events.select(first=pl.col("ts").min(), last=pl.col("ts").max())
    ).row(0)
    n_items = pl.scan_parquet(run.output / "aids.parquet").select(pl.len()).collect().item()
    ranges = [(a, a + GPU_ITEMS) for a in range(0, n_items, GPU_ITEMS)]
    span = Span(first, last)
    return pl.concat(run.engine.collect(self_merge(events, row, span, r)) for r in ranges)


if __name__ == "__main__":
    raise SystemExit(main(__doc__, __file__, body))
