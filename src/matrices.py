"""Item-item matrices: what a `MatrixRow` means, as a polars self-merge, and the table it gives.

`self_merge` is the definition, and what runs on a GPU. `src/matrix_kernel.py` computes the very
same table on the CPU without writing out the pairs; a test holds the two equal for every row.

Votes are fixed-point integers, so their sum does not depend on the order of the events, nor the
result on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from src.events import F32, I32, I64, arrays
from src.rows.matrices import MatrixRow
from src.rows.units import DAY, Weights

SCALE = float(2**24)
"""Fixed-point unit of a vote; votes under half of it (6e-8 / 2) are none."""

NEAR = 256
"""A decay is the product of two, of a multiple of so many seconds and of the rest, so that the
kernel finds both in small tables."""

MATRIX = pl.Schema({"aid_x": pl.Int32, "aid_y": pl.Int32, "weight": pl.Float32})
"""Neighbours aid_y of item aid_x, heaviest first, ties by aid_y."""


@dataclass(frozen=True)
class Span:
    """First and last second of a split's own events; windows are anchored here, nowhere else."""

    first: int
    last: int


def kept_events(events: pl.LazyFrame, row: MatrixRow, span: Span) -> pl.LazyFrame:
    """The events a row looks at, with `pos` (consecutive in a session), `head` and `length`."""
    if row.types is not None:
        events = events.filter(pl.col("type").is_in(list(row.types)))
    if row.last_days is not None:
        events = events.filter(pl.col("ts") > span.last - int(row.last_days * DAY))
    pos, last = pl.col("pos"), pl.col("pos").max().over("session")
    # signed, or `last - tail` would wrap around in short sessions
    kept = events.with_row_index("pos").with_columns(pos.cast(pl.Int64))
    if row.tail is not None:
        kept = kept.filter(pos > last - row.tail)
    head = pos.min().over("session")
    return kept.with_columns(head=head, length=last - head + 1)


def by_type(weights: Weights, column: str) -> pl.Expr:
    """The weight of an event's type."""
    terms = [(pl.col(column) == t).cast(pl.Float64) * w for t, w in enumerate(weights)]
    return pl.sum_horizontal(terms)


def vote(row: MatrixRow, span: Span) -> pl.Expr:
    """The fixed-point vote of a pair of events (columns of x, and of y with suffix _y)."""
    apart = pl.col("ts_y") - pl.col("ts")
    weight = by_type(row.source_weight, "type") * by_type(row.target_weight, "type_y")
    if row.recency:
        age = (pl.col("ts") - span.first).cast(pl.Float64) / max(span.last - span.first, 1)
        weight = weight * (1.0 + row.recency * age)
    if row.half_life is not None:
        near = apart.abs() % NEAR
        far, near = (t.cast(pl.Float64) / row.half_life for t in (apart.abs() - near, near))
        weight = weight * (pl.lit(0.5).pow(far) * pl.lit(0.5).pow(near))
    if row.step_decay != 1.0:
        steps = (pl.col("pos_y") - pl.col("pos")).abs()
        weight = weight * pl.lit(row.step_decay).pow((steps - 1).cast(pl.Float64))
    if row.session_norm:
        weight = weight / (1.0 + pl.col("length").cast(pl.Float64)).log()
    return (weight * SCALE + 0.5).floor().cast(pl.Int64)


def pair_filter(row: MatrixRow) -> pl.Expr:
    """Which pairs of events of one session may vote."""
    steps = pl.col("pos_y") - pl.col("pos")
    keep = pl.col("aid") != pl.col("aid_y")
    if row.direction == "forward":
        keep &= steps > 0
    if row.within is not None:
        keep &= (pl.col("ts_y") - pl.col("ts")).abs() < row.within
    if row.steps is not None:
        keep &= steps.abs() <= row.steps
    return keep


def self_merge(
    events: pl.LazyFrame, row: MatrixRow, span: Span, items: tuple[int, int] | None = None
) -> pl.LazyFrame:
    """The matrix of `row` over EVENTS; `items` limits aid_x to a half-open range, for memory."""
    kept = kept_events(events, row, span)
    x = kept.filter(pl.col("pos") == pl.col("head")) if row.first_only else kept
    if items is not None:
        x = x.filter((pl.col("aid") >= items[0]) & (pl.col("aid") < items[1]))
    y = kept.select("session", aid_y="aid", ts_y="ts", type_y="type", pos_y="pos")
    pairs = x.join(y, on="session").filter(pair_filter(row))
    votes = pairs.select("session", aid_x="aid", aid_y="aid_y", vote=vote(row, span))
    votes = votes.filter(pl.col("vote") > 0)
    if row.once:
        votes = votes.group_by("session", "aid_x", "aid_y").agg(pl.col("vote").max())
    summed = votes.group_by("aid_x", "aid_y").agg(pl.col("vote").sum())
    return top_neighbours(_normalised(summed, kept, row), row.top_n)


def _normalised(summed: pl.LazyFrame, kept: pl.LazyFrame, row: MatrixRow) -> pl.LazyFrame:
    weight = pl.col("vote").cast(pl.Float64) / SCALE
    if row.item_norm:
        count = kept.group_by("aid").agg(count=pl.len().cast(pl.Float64))
        summed = summed.join(count, left_on="aid_x", right_on="aid")
        summed = summed.join(count, left_on="aid_y", right_on="aid", suffix="_y")
        weight = weight / (pl.col("count") * pl.col("count_y")).pow(row.item_norm)
    return summed.select("aid_x", "aid_y", weight=weight.cast(pl.Float32))


def top_neighbours(pairs: pl.LazyFrame, n: int) -> pl.LazyFrame:
    """The n heaviest neighbours of each item, ties by item id, in MATRIX order."""
    ordered = pairs.sort("aid_x", "weight", "aid_y", descending=[False, True, False])
    rank = pl.col("row") - pl.col("row").min().over("aid_x")
    return (
        ordered.with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .filter(rank < n)
        .select("aid_x", "aid_y", "weight")
    )


@dataclass(frozen=True)
class Matrix:
    """Top neighbours as CSR: those of item x are offsets[x] : offsets[x + 1], heaviest first."""

    offsets: I64
    aid: I32
    weight: F32

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, n_items: int) -> Matrix:
        """CSR of a MATRIX frame."""
        x, y, weight = arrays(frame, *MATRIX.names())
        offsets = np.searchsorted(x, np.arange(n_items + 1)).astype(np.int64)
        return cls(offsets, y, weight)

    def to_frame(self, first: int = 0) -> pl.DataFrame:
        """MATRIX frame; `first` is the item that the offsets begin with."""
        items = np.arange(first, first + self.offsets.size - 1, dtype=np.int32)
        x = np.repeat(items, np.diff(self.offsets))
        return pl.DataFrame({"aid_x": x, "aid_y": self.aid, "weight": self.weight}, schema=MATRIX)

    @classmethod
    def load(cls, path: Path, n_items: int, top: int) -> Matrix:
        """Read the `top` heaviest neighbours of each item of a MATRIX file."""
        sizes, near, weight = np.zeros(n_items, np.int64), [], []
        for x, y, w in _row_groups(path):
            counts = np.bincount(x - x[0])
            known = sizes[x[0] : x[0] + counts.size]  # an item may begin in the group before
            begins = np.cumsum(counts) - counts
            place = np.arange(x.size) - np.repeat(begins - known, counts)
            near.append(y[place < top])
            weight.append(w[place < top])
            known += np.minimum(counts, top - known)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        return cls(offsets, _joined(near, np.int32), _joined(weight, np.float32))

    @classmethod
    def mapped(cls, path: Path, n_items: int) -> Matrix:
        """All of a MATRIX file, as nameless files beside it that are mapped into memory.

        What memory is too short for is read from disk again; they are gone when the process ends.
        """
        sizes, folder = np.zeros(n_items, np.int64), path.parent
        with TemporaryFile(dir=folder) as near, TemporaryFile(dir=folder) as weight:
            for x, y, w in _row_groups(path):
                sizes[x[0] : x[-1] + 1] += np.bincount(x - x[0])
                near.write(y.data)
                weight.write(w.data)
            offsets = np.concatenate([[0], np.cumsum(sizes)])
            return cls(offsets, _mapped(near, np.int32), _mapped(weight, np.float32))


def _row_groups(path: Path) -> Iterator[tuple[I32, I32, F32]]:
    """The columns of a MATRIX file, piece by piece."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        x, y, w = (c.to_numpy() for c in file.read_row_group(group).columns)
        if x.size:
            yield x, y, w


def _mapped(file: IO[bytes], dtype: type) -> NDArray[Any]:
    """What was written to a file; numpy maps no empty one."""
    return np.asarray(np.memmap(file, dtype, "r")) if file.tell() else _joined([], dtype)


def _joined(pieces: list[NDArray], dtype: type) -> NDArray:
    """One read-only array: numba compiles each kind anew."""
    array: NDArray = np.concatenate([np.empty(0, dtype), *pieces]).astype(dtype, copy=False)
    array.flags.writeable = False
    return array
