"""How fast the feature columns are made, and the exploded joins that make the same ones in polars.

    python -m bench.features --dataset demo [--output output/demo] [--queries 3000]

On the first queries of `valid`, of what steps 1 to 4 made: seconds of each group of columns, rows
and cells a second of all of them; then the same columns of some matrices by joins (candidates x
history events x neighbours, grouped), on the same rows in the same process, and the largest
difference between the two. Everything runs once on a few queries first, so that nothing is compiled
while measured. Appends a table to bench/RESULTS.md and a line to bench/results.jsonl.
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
from src.candidates.rules import World
from src.cli import parse
from src.core.arrays import F32
from src.core.budget import peak_gib
from src.core.run import Run
from src.data.recipe import Recipe
from src.data.shards import load_split, parts
from src.features import features_kernel
from src.features.rows import WEIGHTINGS, MatrixFeature
from src.features.table import TAIL, Block, Features
from src.rankers.sampling import pools

JOINED = 3  # matrices that the joins are measured on


def some_pools(run: Run, world: World, queries: int) -> list[Pool]:
    """Pools of the first queries, as steps 5 and 6 take them."""
    found: list[Pool] = []
    for part in parts(world):
        for pool in pools(run, world, part):
            if sum(p.offsets.size - 1 for p in found) >= queries:
                return found
            found.append(pool)
    return found


def by_group(features: Features, recipe: Recipe, world: World, all_pools: list[Pool]) -> dict:
    """Seconds and columns of each group of families, and of the ranks."""
    found: dict[str, list[float]] = {}
    for pool in all_pools:
        X = np.zeros((pool.item.size, len(features.names)), np.float32)
        block, column = Block(recipe, world, pool), 0
        for family in features.families:
            start = perf_counter()
            family.fill(block, X, column)
            column += len(family.names)
            entry = found.setdefault(family.group, [0.0, 0.0])
            entry[0] += perf_counter() - start
            entry[1] += len(family.names) / len(all_pools)
        start = perf_counter()
        features_kernel.rank_columns(
            pool.offsets, features.sources, features.targets, X, get_num_threads()
        )
        entry = found.setdefault("ranks", [0.0, 0.0])
        entry[0] += perf_counter() - start
        entry[1] += len(features.sources) / len(all_pools)
    return found


def exploded(recipe: Recipe, world: World, pool: Pool, row: MatrixFeature) -> pl.DataFrame:
    """The sums, means and maxima of a matrix row and the ranks of the sums, by joins."""
    s, n = world.sessions, pool.offsets.size - 1
    stop = s.offsets[pool.first + 1 : pool.first + n + 1]
    size = np.minimum(TAIL, stop - s.offsets[pool.first : pool.first + n])
    back = np.concatenate([np.arange(k) for k in size])
    query = np.repeat(np.arange(pool.first, pool.first + n), size)
    at = np.repeat(stop, size) - 1 - back
    history = pl.DataFrame(
        {"session": query.astype(np.int32), "item_x": s.item[at], "back": back, "type": s.type[at],
         "seconds": np.repeat(s.ts[stop - 1], size) - s.ts[at]}
    )  # fmt: skip
    n_events, seconds = pl.len().over("session"), pl.col("seconds").cast(pl.Float64)
    time = 1.0 / (2.0 + seconds / 60.0).log()
    place = (n_events - 1 - pl.col("back")).cast(pl.Float64) / (n_events - 1)
    count = pl.len().over("session", "item_x")
    weights = {
        "equal": pl.lit(1.0),
        "position": pl.when(n_events > 1).then(2.0 ** (0.1 + 0.9 * place) - 1.0).otherwise(1.0),
        "type": pl.col("type").replace_strict(dict(enumerate(recipe.type_weight)), default=0.0),
        "day": (seconds <= 86400).cast(pl.Float64),
        "time": time,
        "recsys": time
        / (2.0 + pl.col("back")).log()
        / (1.0 + n_events).log()
        / (1.0 + count).log(),
    }
    history = history.with_columns(**weights)
    totals = history.group_by("session").agg(pl.col(w).sum().alias(f"all_{w}") for w in WEIGHTINGS)
    candidates = pl.DataFrame({"session": pool.session, "item_y": pool.item})
    votes = candidates.join(history, on="session").join(
        world.matrix(row.table).to_frame(), on=["item_x", "item_y"]
    )
    each = [(pl.col(w) * pl.col("weight")) for w in WEIGHTINGS]
    sums = [e.sum().alias(f"{row.table}_{w}_sum") for w, e in zip(WEIGHTINGS, each, strict=True)]
    tops = [e.max().alias(f"{row.table}_{w}_max") for w, e in zip(WEIGHTINGS, each, strict=True)]
    grouped = votes.group_by("session", "item_y").agg(*sums, *tops)
    table = candidates.join(grouped, on=["session", "item_y"], how="left", maintain_order="left")
    table = table.join(totals, on="session", how="left", maintain_order="left").fill_null(0.0)
    name = f"{row.table}_{{}}"
    means = [
        (pl.col(f"{row.table}_{w}_sum") / pl.col(f"all_{w}")).alias(f"{row.table}_{w}_mean")
        for w in WEIGHTINGS
    ]
    ranks = [
        pl.col(f"{row.table}_{w}_sum").rank("min", descending=True).over("session").sub(1)
        .alias(name.format(f"{w}_sum_rank"))
        for w in WEIGHTINGS
    ]  # fmt: skip
    return table.with_columns(*means, *ranks)


def compare(recipe: Recipe, world: World, all_pools: list[Pool]) -> dict[str, float]:
    """Both ways over the first matrix rows: seconds of each, largest relative difference."""
    rows = [row for row in recipe.features if isinstance(row, MatrixFeature)][:JOINED]
    few = Features(replace(recipe, features=tuple(replace(r, latest=0, above=None) for r in rows)))
    theirs, ours, off = 0.0, 0.0, 0.0
    for pool in all_pools:
        X, start = np.zeros((pool.item.size, len(few.names)), np.float32), perf_counter()
        block, column = Block(recipe, world, pool), sum(len(f.names) for f in few.families[:3])
        for family in few.families[3:]:
            family.fill(block, X, column)
            column += len(family.names)
        features_kernel.rank_columns(pool.offsets, few.sources, few.targets, X, get_num_threads())
        ours += perf_counter() - start
        for row in rows:
            start = perf_counter()
            table = exploded(recipe, world, pool, row)
            theirs += perf_counter() - start
            off = max(off, difference(few, X, table, row.table))
    return {"joins": theirs, "kernel": ours, "off": off, "columns": 24 * len(rows)}


def difference(features: Features, X: F32, table: pl.DataFrame, name: str) -> float:
    """Largest difference of the columns of a matrix, relative to the column's largest value."""
    found = 0.0
    for column in [c for c in features.names if c.startswith(f"{name}_") and c in table.columns]:
        if column.endswith("_rank"):  # ties may fall otherwise where sums differ in the last bit
            continue
        mine, other = X[:, features.names.index(column)], table[column].to_numpy()
        found = max(found, float(np.abs(mine - other).max() / max(np.abs(other).max(), 1e-9)))
    return found


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(prog="bench.features", description=__doc__)
    parser.add_argument("--queries", type=int, default=3_000)
    args, flags = parser.parse_known_args(argv)
    run = parse(__doc__ or "", Path(__file__), flags)
    recipe, world, features = run.recipe, load_split(run, "valid"), Features(run.recipe)
    all_pools = some_pools(run, world, args.queries)
    by_group(features, recipe, world, all_pools[:1])
    compare(recipe, world, all_pools[:1])
    start, cpu = perf_counter(), process_time()
    for pool in all_pools:
        features.compute(world, pool)
    seconds, cpu = perf_counter() - start, process_time() - cpu
    peak, rows = peak_gib(), sum(pool.item.size for pool in all_pools)
    groups, other = by_group(features, recipe, world, all_pools), compare(recipe, world, all_pools)
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
    facts = [
        f"{rows:,} rows",
        f"{rows / seconds:,.0f} rows/s",
        f"{cpu / seconds:.2f} cores",
        f"peak {peak:.2f} GiB",
        f"joins {other['joins'] / other['kernel']:.0f} times the kernel",
        f"off by {other['off']:.1e}",
    ]
    measure.append_line(record)
    text = measure.table(("columns", "number", "seconds", "ns/cell"), table)
    measure.append_table(measure.title(record, *facts), text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
