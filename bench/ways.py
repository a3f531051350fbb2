"""Count one matrix in one way: the process that `bench.peers` measures.

    python -m bench.ways kernel --row recent --folder output/bench-0.01/peers [--keep near.parquet]

The folder holds events.parquet, sample.parquet and tiny.parquet (bench/frames.py). The way runs on
the tiny events first, for compilation and imports, then on all events, or on the sample for pandas.
The last printed line is JSON: `found`, the number of neighbours; `job_seconds`, from reading the
file to the finished matrix in memory; and further facts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import polars as pl

from bench import plain, sql
from src.data.sessions import Sessions
from src.datasets import DATASETS
from src.matrices import count, event_index
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.neighbours import NEIGHBOURS, Neighbours
from src.matrices.self_merge import self_merge
from src.matrices.span import Span


@dataclass(frozen=True)
class Limits:
    """Limits of the ways that write out pairs, so that they fit memory."""

    range_events: int = 250_000  # of x in one range of items, for self-merge and scipy
    memory: str = "8GB"  # duckdb's memory_limit


class Result(NamedTuple):
    """Result of one way."""

    n_neighbours: int
    matrix: pl.DataFrame | None  # None: another job than the kernel's, or several rows
    facts: dict[str, Any]  # to report


def recipe_rows() -> dict[str, CovisitationMatrix]:
    """Collect the co-visitation rows of all recipes by name."""
    rows = [row for dataset in DATASETS.values() for row in dataset.recipe.matrices]
    return {row.name: row for row in rows if isinstance(row, CovisitationMatrix)}


def span_of(events: pl.LazyFrame) -> Span:
    return Span(*events.select(pl.min("ts"), last=pl.max("ts")).collect().row(0))


def count_rows(
    sessions: Sessions, rows: list[CovisitationMatrix], span: Span
) -> Iterator[list[Neighbours]]:
    """Yield the matrices of the rows by the kernel, batch by batch, as step 2 does."""
    by_types: dict[object, list[CovisitationMatrix]] = {}
    for row in rows:
        by_types.setdefault(row.types, []).append(row)
    for group in by_types.values():
        view = event_index.index_events(sessions, group[0].types)
        yield from (matrices for _, matrices in count.count(view, group, span))


def _sessions(path: Path) -> tuple[Sessions, Span]:
    events = pl.read_parquet(path)
    n_sessions, n_items = (int(events[name].max()) + 1 for name in ("session", "item"))  # type: ignore[arg-type]
    return Sessions.from_events(events, n_sessions, n_items, 0), span_of(events.lazy())


def kernel(path: Path, row: CovisitationMatrix, _: Limits) -> Result:
    """Count one row by the kernel of step 2."""
    sessions, span = _sessions(path)
    frame = count.count_whole(event_index.index_events(sessions, row.types), row, span).to_frame()
    return Result(frame.height, frame, {})


def kernel_all(path: Path, row: CovisitationMatrix, _: Limits) -> Result:
    """Count all rows of all recipes by the kernel, in one process; the row is not read."""
    sessions, span = _sessions(path)
    rows = list(recipe_rows().values())
    sizes = (m.item.size for batch in count_rows(sessions, rows, span) for m in batch)
    return Result(sum(sizes), None, {"rows": len(rows)})


def item_ranges(path: Path, events: int) -> list[tuple[int, int]]:
    """Cut the items into half-open ranges with about so many events each."""
    counts = pl.scan_parquet(path).group_by("item").len().sort("item").collect()
    number = (counts["len"].cum_sum() - counts["len"]) // events
    starts = counts["item"].filter(number != number.shift(1, fill_value=-1)).to_list()
    return list(zip(starts, [*starts[1:], int(counts["item"][-1]) + 1], strict=True))


def merge(path: Path, row: CovisitationMatrix, limits: Limits) -> Result:
    """Run the definition, src/matrices/self_merge.py, in ranges of items."""
    events = pl.scan_parquet(path)
    span, ranges = span_of(events), item_ranges(path, limits.range_events)
    tables = [self_merge(events, row, span, r).collect(engine="streaming") for r in ranges]
    frame = pl.concat(tables)
    return Result(frame.height, frame, {"ranges": len(ranges)})


def duckdb(path: Path, row: CovisitationMatrix, limits: Limits) -> Result:
    """Run the definition as SQL."""
    frame = sql.matrix(path, row, span_of(pl.scan_parquet(path)), limits.memory)
    return Result(frame.height, frame.cast(NEIGHBOURS), {})


def sparse_dot_topn(path: Path, row: CovisitationMatrix, _: Limits) -> Result:
    """Run the easier job with sparse_dot_topn."""
    n_neighbours = plain.sparse_dot_topn(path, row, span_of(pl.scan_parquet(path)))
    return Result(n_neighbours, None, {})


def scipy(path: Path, row: CovisitationMatrix, limits: Limits) -> Result:
    """Run the easier job with scipy, in ranges of items."""
    ranges = item_ranges(path, limits.range_events)
    n_neighbours = plain.scipy(path, row, span_of(pl.scan_parquet(path)), ranges)
    return Result(n_neighbours, None, {"ranges": len(ranges)})


def pandas(path: Path, row: CovisitationMatrix, _: Limits) -> Result:
    """Run the way of the public notebooks."""
    n_neighbours, pairs = plain.pandas(path, row, span_of(pl.scan_parquet(path)))
    return Result(n_neighbours, None, {"pairs": pairs})


WAYS: dict[str, Callable[[Path, CovisitationMatrix, Limits], Result]] = {
    "kernel": kernel,
    "kernel, all rows": kernel_all,
    "self-merge": merge,
    "duckdb": duckdb,
    "sparse_dot_topn": sparse_dot_topn,
    "scipy": scipy,
    "pandas": pandas,
}


def main(argv: list[str]) -> int:
    """Measure one way on one row; print JSON."""
    parser = argparse.ArgumentParser(prog="bench.ways", description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--row", default="recent")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--keep", type=Path, help="file for the matrix, written after the timing")
    parser.add_argument("--range-events", type=int, default=Limits.range_events)
    parser.add_argument("--memory-limit", default=Limits.memory)
    args = parser.parse_args(argv)
    limits = Limits(args.range_events, args.memory_limit)
    way, row = WAYS[args.way], recipe_rows()[args.row]
    way(args.folder / "tiny.parquet", row, limits)
    path = args.folder / ("sample.parquet" if args.way == "pandas" else "events.parquet")
    start = perf_counter()
    n_neighbours, matrix, facts = way(path, row, limits)
    seconds = perf_counter() - start
    if args.keep and matrix is not None:
        matrix.write_parquet(args.keep)
    print(json.dumps({"found": n_neighbours, "job_seconds": seconds, "facts": facts}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
