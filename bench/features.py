"""Measure the seconds of feature columns, and compare some of them with joins in polars.

    python -m bench.features --dataset demo [--output output/demo] [--queries 3000]

Needs steps 1 to 4. On the first queries of `valid` it measures the seconds and the nanoseconds per
cell of each kind of feature group, and the rows per second of all columns. Then it computes the
columns of JOINED matrices twice: by the kernel, and by joins of candidates, history events and
neighbours. It compares seconds and values of both. A first run on a few queries compiles all
kernels. Prints a table, appends it to bench/RESULTS.md, and a line to bench/results.jsonl.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import polars as pl
from numba import get_num_threads

from bench import measure
from src.candidates.pool import Pool
from src.cli import parse
from src.core.arrays import F32
from src.core.budget import peak_gib
from src.data.recipe import Recipe
from src.data.shards import shards
from src.data.split_data import SplitData
from src.features.base import HISTORY_EVENTS, WEIGHTINGS, QueryBatch
from src.features.item_item import MatrixFeature
from src.features.rank_kernel import rank_columns
from src.features.table import FeatureTable
from src.matrices.neighbours import all_neighbours
from src.rankers.batches import pools

JOINED = 3  # matrices that the joins are measured on


def first_pools(data: SplitData, queries: int) -> list[Pool]:
    """Collect the pools of the first queries, in the batches of steps 5 and 6."""
    batches: list[Pool] = []
    for shard in shards(data.run, data.split):
        for pool in pools(data, shard):
            if sum(batch.n_queries for batch in batches) >= queries:
                return batches
            batches.append(pool)
    return batches


def by_group(table: FeatureTable, data: SplitData, batches: list[Pool]) -> dict[str, list[float]]:
    """Measure [seconds, columns] of each kind of feature group, and of the ranks."""
    measured: dict[str, list[float]] = {}

    def add(name: str, start: float, columns: int) -> None:
        seconds = perf_counter() - start
        entry = measured.setdefault(name, [0.0, 0.0])
        entry[0] += seconds
        entry[1] += columns / len(batches)

    for pool in batches:
        X = np.zeros((pool.item.size, len(table.names)), np.float32)
        batch, column = QueryBatch(table.recipe, data, pool), 0
        for group in table.recipe.features:
            columns, start = len(group.names(table.recipe)), perf_counter()
            group.fill(batch, X, column)
            add(type(group).__name__, start, columns)
            column += columns
        start = perf_counter()
        rank_columns(pool.offsets, table.ranked, table.ranks, X, get_num_threads())
        add("ranks", start, table.ranked.size)
    return measured


def weighted_history(recipe: Recipe, data: SplitData, pool: Pool) -> pl.DataFrame:
    """Weight the latest events of each query: session, item_x, and a column per weighting."""
    s = data.sessions
    stop = s.offsets[pool.first + 1 : pool.end + 1]
    size = np.minimum(HISTORY_EVENTS, stop - s.offsets[pool.first : pool.end])
    back = np.concatenate([np.arange(k) for k in size])
    query = np.repeat(np.arange(pool.first, pool.end), size)
    event = np.repeat(stop, size) - 1 - back
    history = pl.DataFrame(
        {"session": query.astype(np.int32), "item_x": s.item[event], "back": back,
         "type": s.type[event], "seconds": np.repeat(s.ts[stop - 1], size) - s.ts[event]}
    )  # fmt: skip
    n_events, seconds = pl.len().over("session"), pl.col("seconds").cast(pl.Float64)
    time = 1.0 / (2.0 + seconds / 60.0).log()
    relative = (n_events - 1 - pl.col("back")).cast(pl.Float64) / (n_events - 1)
    log_counts = (1.0 + n_events).log() * (1.0 + pl.len().over("session", "item_x")).log()
    weights = {
        "equal": pl.lit(1.0),
        "position": pl.when(n_events > 1).then(2.0 ** (0.1 + 0.9 * relative) - 1.0).otherwise(1.0),
        "type": pl.col("type").replace_strict(dict(enumerate(recipe.type_weight)), default=0.0),
        "day": (seconds <= 86400).cast(pl.Float64),
        "time": time,
        "recsys": time / (2.0 + pl.col("back")).log() / log_counts,
    }
    return history.with_columns(**weights)


def exploded(recipe: Recipe, data: SplitData, pool: Pool, row: MatrixFeature) -> pl.DataFrame:
    """Compute sums, means and maxima of a matrix row and the ranks of the sums by joins."""
    history = weighted_history(recipe, data, pool)
    candidates = pl.DataFrame({"session": pool.session, "item_y": pool.item})
    neighbours = all_neighbours(data, row.table).to_frame()
    scores = candidates.join(history, on="session").join(neighbours, on=["item_x", "item_y"])
    by_session = history.group_by("session").agg(
        pl.col(w).sum().alias(f"all_{w}") for w in WEIGHTINGS
    )
    weighted = {w: pl.col(w) * pl.col("weight") for w in WEIGHTINGS}
    sums = [score.sum().alias(f"{row.table}_{w}_sum") for w, score in weighted.items()]
    maxima = [score.max().alias(f"{row.table}_{w}_max") for w, score in weighted.items()]
    by_pair = scores.group_by("session", "item_y").agg(*sums, *maxima)
    table = candidates.join(by_pair, on=["session", "item_y"], how="left", maintain_order="left")
    table = table.join(by_session, on="session", how="left", maintain_order="left").fill_null(0.0)
    total = {w: pl.col(f"{row.table}_{w}_sum") for w in WEIGHTINGS}
    means = [(total[w] / pl.col(f"all_{w}")).alias(f"{row.table}_{w}_mean") for w in WEIGHTINGS]
    ranks = [
        total[w].rank("min", descending=True).over("session").sub(1)
        .alias(f"{row.table}_{w}_sum_rank")
        for w in WEIGHTINGS
    ]  # fmt: skip
    return table.with_columns(*means, *ranks)


def compare(recipe: Recipe, data: SplitData, batches: list[Pool]) -> dict[str, float]:
    """Measure kernel and joins on JOINED matrix rows: seconds, and largest relative difference."""
    all_rows = [row for row in recipe.features if isinstance(row, MatrixFeature)]
    rows = [replace(row, latest=0, threshold=None) for row in all_rows[:JOINED]]
    table = FeatureTable(replace(recipe, features=tuple(rows)))
    joins, kernel, largest = 0.0, 0.0, 0.0
    for pool in batches:
        start = perf_counter()
        X = table.compute(data, pool)
        kernel += perf_counter() - start
        for row in rows:
            start = perf_counter()
            joined = exploded(recipe, data, pool, row)
            joins += perf_counter() - start
            largest = max(largest, difference(table, X, joined, row.table))
    return {"joins": joins, "kernel": kernel, "off": largest, "columns": len(table.names)}


def difference(table: FeatureTable, X: F32, joined: pl.DataFrame, name: str) -> float:
    """Find the largest difference in the columns of a matrix, relative to a column's maximum."""
    largest = 0.0
    for column in [c for c in table.names if c.startswith(f"{name}_") and c in joined.columns]:
        if column.endswith("_rank"):  # sums that differ in the last bit break ties differently
            continue
        kernel, other = X[:, table.names.index(column)], joined[column].to_numpy()
        relative = float(np.abs(kernel - other).max() / max(np.abs(other).max(), 1e-9))
        largest = max(largest, relative)
    return largest


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.features", description=__doc__)
    parser.add_argument("--queries", type=int, default=3_000)
    args, flags = parser.parse_known_args(argv)
    run = parse(__doc__ or "", Path(__file__), flags)
    recipe, data, features = run.recipe, SplitData(run, "valid"), FeatureTable(run.recipe)
    batches = first_pools(data, args.queries)
    by_group(features, data, batches[:1])
    compare(recipe, data, batches[:1])
    start, cpu = perf_counter(), process_time()
    for pool in batches:
        features.compute(data, pool)
    seconds, cpu = perf_counter() - start, process_time() - cpu
    peak, rows = peak_gib(), sum(pool.item.size for pool in batches)
    groups, other = by_group(features, data, batches), compare(recipe, data, batches)
    table = [
        [name, f"{round(n)}", f"{s:.2f}", f"{1e9 * s / max(rows * n, 1):.1f}"]
        for name, (s, n) in groups.items()
    ]
    table.append(["all", f"{len(features.names)}", f"{seconds:.2f}",
                  f"{1e9 * seconds / (rows * len(features.names)):.1f}"])  # fmt: skip
    for way in ("kernel", "joins"):
        table.append([f"{JOINED} matrices: {way}", f"{other['columns']:.0f}", f"{other[way]:.2f}",
                      f"{1e9 * other[way] / (rows * other['columns']):.1f}"])  # fmt: skip
    record = {
        **measure.origin(argv, "bench.features"),
        **{"kind": "features", "rows": rows, "columns": len(features.names), "seconds": seconds},
        **{"cpu_seconds": cpu, "rows_per_second": rows / seconds, "peak_gib": peak},
        **{"groups": groups, **other},
    }
    summary = [
        f"{rows:,} rows",
        f"{rows / seconds:,.0f} rows/s",
        f"{cpu / seconds:.2f} cores",
        f"peak {peak:.2f} GiB",
        f"joins {other['joins'] / other['kernel']:.0f} times the kernel",
        f"largest relative difference {other['off']:.1e}",
    ]
    measure.append_line(record)
    text = measure.table(("columns", "number", "seconds", "ns/cell"), table)
    measure.append_table(measure.title(record, *summary), text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
