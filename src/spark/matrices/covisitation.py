"""Count co-visitation matrices on Spark: the table of src/matrices/self_merge.py.

1. A shuffle by session. Windows over a session give each event its position, then the events within
   its reach: `max_steps`, `last_events` or `max_gap_s` bound them. They are exploded to pairs.
2. Votes, and the heaviest of a session, without another shuffle.
3. The sums of a pair, first within each task, then by a shuffle by pair: no task gets more than its
   share of a popular item.
4. The heaviest neighbours: each task keeps `top_n` of an item before the shuffle by item.

Java's pow and log may differ from those of C in the last bit. So all powers and logarithms of a
vote are looked up in tables that are made here, and the driver applies `item_norm` (`_top`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from pyspark.sql import Column, DataFrame, SparkSession, Window, WindowSpec
from pyspark.sql import functions as sql

from src.core.arrays import F64
from src.core.parquet import TableWriter, count_rows
from src.data import paths
from src.data.split_data import SplitData
from src.data.units import DAY
from src.matrices.count import RANGE
from src.matrices.covisitation import BYTES_ON_DISK, CovisitationMatrix
from src.matrices.kernel_params import FINE_BITS, UNBOUNDED, kernel_params, reach
from src.matrices.neighbours import NEIGHBOURS
from src.matrices.self_merge import FINE, SCALE, pair_weight, top_neighbours
from src.matrices.span import Span
from src.spark.session import one_line_errors, session, with_row_number, written

EVENT = ("item", "ts", "type", "pos")
EVENTS_PER_TASK = 100_000  # some million pairs, which a task sums in memory
POW_ERROR = 1e-14  # relative; Java's pow and C's err by 1e-16


def write(data: SplitData, rows: dict[Path, CovisitationMatrix]) -> None:
    """Count the only row of a group into its file."""
    run, split, ((path, row),) = data.run, data.split, rows.items()
    events = paths.events(run, split)
    run.budget.claim(f"{split} {row.name}", 0, BYTES_ON_DISK * count_rows(events))
    with TableWriter(path, NEIGHBOURS) as writer:
        for table in counted(session(run), events, row, Span.of(run, split), path):
            writer.add(table)


def counted(
    spark: SparkSession, events: Path, row: CovisitationMatrix, span: Span, near: Path
) -> Iterator[pl.DataFrame]:
    """Yield NEIGHBOURS of an EVENTS file, range by range of items; `near`: place for pieces."""
    tasks = -(-count_rows(events) // EVENTS_PER_TASK)
    table = with_row_number(spark, events, "row").repartition(max(tasks, 1), "session")
    for piece in written(matrix(table, row, span), near, "piece"):
        yield heaviest(piece, row)


def matrix(events: DataFrame, row: CovisitationMatrix, span: Span) -> DataFrame:
    """Count the pairs of a row's matrix that `heaviest` chooses from.

    events: EVENTS and `row`, the number of the row. Returns item_x, item_y, vote (int64) and
    `piece`, the range of item_x; with item_norm also count and count_y.
    """
    kept = kept_events(events, row, span)
    summed = votes(kept, row, span).groupBy("item_x", "item_y").agg(sql.sum("vote").alias("vote"))
    return _top(_counted(summed, kept, row), row)


def heaviest(pairs: pl.DataFrame, row: CovisitationMatrix) -> pl.DataFrame:
    """Keep the heaviest neighbours among all pairs of some items: NEIGHBOURS."""
    weighted = pairs.lazy().select("item_x", "item_y", weight=pair_weight(row))
    return top_neighbours(weighted, row.top_n).collect()


def kept_events(events: DataFrame, row: CovisitationMatrix, span: Span) -> DataFrame:
    """Filter the events of a row; add pos, from 1, and length, those of the remaining events."""
    if row.types is not None:
        events = events.where(sql.col("type").isin(list(row.types)))
    if row.last_days is not None:
        events = events.where(sql.col("ts") > span.last - int(row.last_days * DAY))
    in_session = Window.partitionBy("session")
    number, length = (
        sql.row_number().over(in_session.orderBy("row")),
        sql.count("*").over(in_session),
    )
    cut = sql.greatest(sql.col("length") - (row.last_events or UNBOUNDED), sql.lit(0))
    numbered = events.withColumns({"pos": number, "length": length})
    cut_off = numbered.withColumns({"pos": sql.col("pos") - cut, "length": sql.col("length") - cut})
    return cut_off.where(sql.col("pos") > 0)


def pairs(kept: DataFrame, row: CovisitationMatrix) -> DataFrame:
    """Pair the events x and y of a session, structs of EVENT, that may vote.

    Memory holds the events within the reach of one x at a time.
    """
    event = sql.struct(*EVENT)
    if row.first_only:
        first = sql.first(event).over(Window.partitionBy("session").orderBy("pos"))
        paired = kept.select("session", "length", first.alias("x"), event.alias("y"))
    else:
        near = kept.withColumn("near", sql.collect_list(event).over(_frame(row)))
        paired = near.select("session", "length", event.alias("x"), sql.explode("near").alias("y"))
    max_steps, max_gap = reach(row)
    steps = sql.col("y.pos") - sql.col("x.pos")
    keep = (
        (sql.col("x.item") != sql.col("y.item"))
        & (sql.abs(steps) <= max_steps)
        & (_gap() < max_gap)
    )
    return paired.where(keep & (steps > 0) if row.backward == 0 else keep)


def _frame(row: CovisitationMatrix) -> WindowSpec:
    """Return the events within the reach of an event, and perhaps some more."""
    session, forward = Window.partitionBy("session"), row.backward == 0
    max_steps, max_gap = reach(row)
    steps = min(max_steps, (row.last_events or UNBOUNDED) - 1)
    if steps < UNBOUNDED - 1:
        return session.orderBy("pos").rowsBetween(0 if forward else -steps, steps)
    if max_gap < UNBOUNDED:
        seconds = session.orderBy(sql.col("ts").cast("long"))
        return seconds.rangeBetween(0 if forward else 1 - max_gap, max_gap - 1)
    start = 0 if forward else Window.unboundedPreceding
    return session.orderBy("pos").rowsBetween(start, Window.unboundedFollowing)


def votes(kept: DataFrame, row: CovisitationMatrix, span: Span) -> DataFrame:
    """Compute the votes of pairs, above 0: session, item_x, item_y, vote (int64)."""
    items = {"item_x": sql.col("x.item"), "item_y": sql.col("y.item")}
    vote = sql.floor(_weight(kept, row, span) * SCALE + 0.5)
    voted = pairs(kept, row).select("session", *(c.alias(n) for n, c in items.items()),
                                    vote.alias("vote")).where("vote > 0")  # fmt: skip
    return (
        voted.groupBy("session", *items).agg(sql.max("vote").alias("vote")) if row.dedupe else voted
    )


def _weight(kept: DataFrame, row: CovisitationMatrix, span: Span) -> Column:
    """Compute the weight of a pair; products are in the order of `self_merge.vote`."""
    params = kernel_params([row], span)
    types = sql.col("x.type") * params.weight.shape[2] + sql.col("y.type")
    weight = _lookup(params.weight[0].ravel(), types)
    if row.time_weight:
        age = (sql.col("x.ts") - span.first).cast("double") / float(max(span.last - span.first, 1))
        weight = weight * (1.0 + row.time_weight * age)
    if row.backward not in (0, 1):
        before = sql.col("y.pos") < sql.col("x.pos")
        weight = weight * sql.when(before, float(row.backward)).otherwise(1.0)
    if row.half_life is not None:
        fine = _lookup(params.decay_fine[0], _gap().bitwiseAND(FINE - 1))
        weight = weight * (
            _lookup(params.decay_coarse[0], sql.shiftright(_gap(), FINE_BITS)) * fine
        )
    if row.step_decay != 1.0 or row.session_norm:
        with one_line_errors():
            longest = kept.agg(sql.max("length")).collect()[0][0] or 0
    if row.step_decay != 1.0:
        decay = [row.step_decay ** float(steps) for steps in range(longest)]
        weight = weight * _lookup(decay, sql.abs(sql.col("y.pos") - sql.col("x.pos")) - 1)
    if row.session_norm:
        weight = weight / _lookup(
            [math.log(1.0 + n) for n in range(longest + 1)], sql.col("length")
        )
    return weight


def _gap() -> Column:
    return sql.abs(sql.col("y.ts") - sql.col("x.ts"))


def _lookup(table: Sequence[float] | F64, index: Column) -> Column:
    return sql.get(sql.lit(np.array(table, np.float64)), index.cast("int"))


def _counted(summed: DataFrame, kept: DataFrame, row: CovisitationMatrix) -> DataFrame:
    """Add the number of events of both items, with item_norm."""
    if not row.item_norm:
        return summed
    count = kept.groupBy("item").agg(sql.count("*").cast("double").alias("count"))
    count_y = count.select(sql.col("item").alias("item_y"), sql.col("count").alias("count_y"))
    return summed.join(count.withColumnRenamed("item", "item_x"), "item_x").join(count_y, "item_y")


def _top(pairs: DataFrame, row: CovisitationMatrix) -> DataFrame:
    """Keep the heaviest neighbours of each item.

    With item_norm, also each pair for which an error of POW_ERROR would change the float32 weight.
    """
    weight, groups = sql.col("vote").cast("double") / SCALE, [sql.col("item_x")]
    if row.item_norm:
        weight = weight / sql.pow(sql.col("count") * sql.col("count_y"), row.item_norm)
        low, high = (weight * (1 + sign * POW_ERROR) for sign in (-1, 1))
        unsure = low.cast("float") != high.cast("float")
        groups.append(sql.when(unsure, sql.col("item_y")).otherwise(-1))  # alone in its group
    best_first = sql.desc(weight.cast("float")), sql.asc("item_y")
    rank = sql.row_number().over(Window.partitionBy(*groups).orderBy(*best_first))
    kept = pairs.withColumn("rank", rank).where(sql.col("rank") <= row.top_n).drop("rank")
    return kept.withColumn("piece", sql.floor(sql.col("item_x") / RANGE).cast("int"))
