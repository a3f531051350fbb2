"""Compute as-of columns on Spark: the columns of src/features/as_of.py for a whole split.

1. The rows of a log are summed by key and time, so a popular key is as many rows as it has times.
2. Each candidate asks at a few times, such as now and now minus a window. A window over each key
   sums what is strictly earlier than each time that is asked for.
3. The answers go back to their candidates by key and time; counts are differences of two answers.

Counts, clicks and lengths are whole numbers, so the order of sums does not matter. Rates, shares
and depths are the same few operations of IEEE: these columns have the bits of the CPU's. A decayed
count is another sum of the same terms, equal to a relative 1e-6.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as sql

from src.core import store
from src.core.arrays import F32, I64
from src.core.parquet import TableWriter, count_rows
from src.data import paths
from src.data.split_data import SplitData
from src.features.as_of import NEVER_S, SMOOTHING, UNIT, AsOf, AsOfFeature, share_of_list
from src.features.base import QueryBatch
from src.features.given import pair_numbers
from src.features.keyed_log import ITEM
from src.spark.session import one_line_errors, session, with_row_number, written

ROW_GROUP = 1 << 16  # rows of a group: who reads a batch reads whole groups
PIECE = 1 << 20  # sessions of a piece of the table, which is in memory at a time
OLDEST = 1000.0  # half-lives of the log's span: 2 to this power is a float64
BYTES_OF_CELL = 4.0  # on disk
CONTEXT = ("ts", "clicks_until")
NOW, KNOWN, ALL = "now", "known", "all"
"""Names of times: of the list; before which clicks are known, of the key and of all keys.

<name>_<seconds> is so much earlier.
"""


def read(feature: AsOfFeature, batch: QueryBatch) -> F32:
    """Read the columns of the candidates of a batch: float32 (candidates, columns).

    The first batch of a split computes those of all given candidates.
    """
    data, pool, names = batch.data, batch.pool, feature.names(batch.recipe)
    path = data.cached(("as-of on Spark", feature), lambda: build(feature, data, names))
    inside = pl.col("session").is_between(batch.first, batch.end - 1)
    table = pl.scan_parquet(path).filter(inside).collect()
    pair = pair_numbers(table["session"].to_numpy(), table["item"].to_numpy())
    rows = np.searchsorted(pair, pair_numbers(pool.session, pool.item))
    X: F32 = table.select(names).to_numpy()[rows]
    for number, (what, _) in enumerate(feature.columns()):
        if what == AsOf.SHARE:  # of the candidates that are left of a list
            X[:, number] = share_of_list(X[:, number].astype(np.int64), pool.offsets)
    return X


def build(feature: AsOfFeature, data: SplitData, names: list[str]) -> Path:
    """Bring the table of a split up to date; return its file: session, item and the columns.

    A share is the count there.
    """
    run, split = data.run, data.split
    given = paths.given(run, split)
    path = run.output / split / "as_of" / f"{feature.label}-{store.digest(feature)}.parquet"

    def make(part: Path) -> None:
        cells = count_rows(given) * (len(names) + 2)
        run.budget.claim(f"{split} {feature.label}", 0, BYTES_OF_CELL * cells)
        schema = pl.Schema({"session": pl.Int32, "item": pl.Int32}
                           | dict.fromkeys(names, pl.Float32))  # fmt: skip
        with TableWriter(part, schema) as writer:
            for table in computed(session(run), feature, data, part):
                table.columns = schema.names()
                for rows in table.cast(schema).sort("session", "item").iter_slices(ROW_GROUP):
                    writer.add(rows)

    inputs = [given, *feature.inputs(run, split)]
    run.build(path, make, (feature, data.first_query), inputs, code=computed)
    return path


def computed(
    spark: SparkSession, feature: AsOfFeature, data: SplitData, near: Path
) -> Iterator[pl.DataFrame]:
    """Yield session, item and the columns c0, c1, ... of all given candidates, in pieces.

    near: place for them.
    """
    run, split = data.run, data.split
    given = spark.read.parquet(paths.given(run, split).absolute().as_uri())
    context = with_row_number(spark, paths.impressions(run, split), "session")
    context = context.withColumn("session", sql.col("session") + data.first_query)
    context = context.select("session", *CONTEXT, *(key for key in feature.key if key != ITEM))
    log = spark.read.parquet(paths.log(run, feature.log).absolute().as_uri())
    with one_line_errors():
        table = columns(given.select("session", "item").join(context, "session"), log, feature)
    piece = sql.floor(sql.col("session") / PIECE).cast("int")
    yield from written(table.withColumn("piece", piece), near, "piece")


def columns(candidates: DataFrame, log: DataFrame, feature: AsOfFeature) -> DataFrame:
    """Compute the columns of candidates: session, item, c0, c1, ...

    candidates: session, item, CONTEXT and the key's columns of IMPRESSIONS. log: its rows.
    """
    now = sql.col("ts").cast("long")
    known = sql.least(now, sql.col("clicks_until").cast("long")) - feature.delay_s
    asked = {NOW: now}
    for what, seconds in feature.columns():
        if what in (AsOf.COUNT, AsOf.SHARE, AsOf.DEPTH):
            asked[f"{NOW}_{seconds}"] = now - seconds
        elif what in (AsOf.CLICKS, AsOf.RATE):
            asked |= {KNOWN: known, f"{KNOWN}_{seconds}": sql.least(now - seconds, known)}
    start = decay_base(log, feature)
    rows = summed(log, feature.outcome, feature.key, feature.columns(), start)
    found = answers(candidates, rows, feature.key, asked)
    if any(what == AsOf.RATE for what, _ in feature.columns()):
        every = summed(log, feature.outcome, (), [(AsOf.RATE, 0)], start)
        of_all = answers(candidates, every, (), {ALL: known}).select("session", "item", ALL)
        found = found.join(of_all, ["session", "item"])
    made = [column(what, seconds, start).cast("float").alias(f"c{n}")
            for n, (what, seconds) in enumerate(feature.columns())]  # fmt: skip
    return found.select("session", "item", *made)


def column(what: AsOf, seconds: int, start: int) -> Column:
    """Return a column from the answers; operations are in the order of the CPU's.

    start: time from which decays are counted.
    """
    ts, rows = sql.col("ts").cast("long"), _told(NOW, "rows")
    count = rows - _told(f"{NOW}_{seconds}", "rows")
    if what == AsOf.NEW:
        return rows == 0
    if what == AsOf.FIRST:
        return sql.coalesce(ts - sql.col(f"{NOW}.first"), sql.lit(-1))
    if what == AsOf.LAST:
        return sql.least(ts - sql.col(f"{NOW}.last"), sql.lit(NEVER_S))  # NEVER_S for null
    if what == AsOf.DECAYED:
        faded = sql.pow(sql.lit(2.0), (sql.lit(start) - ts) / sql.lit(seconds))
        return _told(NOW, f"decayed_{seconds}") * faded
    if what in (AsOf.COUNT, AsOf.SHARE):
        return count
    if what == AsOf.DEPTH:
        units = _told(NOW, "units") - _told(f"{NOW}_{seconds}", "units")
        return units / sql.lit(UNIT) / sql.greatest(count, sql.lit(1))
    clicks, labelled = (_told(KNOWN, name) - _told(f"{KNOWN}_{seconds}", name)
                        for name in ("clicks", "labelled"))  # fmt: skip
    if what == AsOf.CLICKS:
        return clicks
    prior = _told(ALL, "clicks") / sql.greatest(_told(ALL, "labelled"), sql.lit(1))
    return (clicks + sql.lit(SMOOTHING) * prior) / (labelled + sql.lit(SMOOTHING))


def _told(time: str, name: str) -> Column:
    """Return a sum over the rows before a time; 0 where there is none."""
    return sql.coalesce(sql.col(f"{time}.{name}"), sql.lit(0))


def answers(
    candidates: DataFrame, rows: DataFrame, key: tuple[str, ...], asked: dict[str, Column]
) -> DataFrame:
    """Add a struct for each time that is asked for, about the rows with the candidate's key.

    rows: of `summed`. Only strictly earlier ones count. The struct has their sums, and the first
    and the last of their times; null without a row.
    """
    times = [sql.struct(sql.lit(n).alias("name"), t.alias("time")) for n, t in asked.items()]
    asks = candidates.withColumn("ask", sql.explode(sql.array(*times)))
    asks = asks.select("session", "item", *(k for k in key if k != ITEM), "ask.name", "ask.time")
    both = rows.unionByName(asks.select(*key, "time").distinct(), allowMissingColumns=True)
    before = Window.partitionBy(*key).orderBy("time").rangeBetween(Window.unboundedPreceding, -1)
    told = [sql.sum(n).over(before).alias(n) for n in rows.columns if n not in (*key, "time")]
    row_time = sql.when(sql.col("rows").isNotNull(), sql.col("time"))
    told += [sql.min(row_time).over(before).alias("first"),
             sql.max(row_time).over(before).alias("last")]  # fmt: skip
    is_ask = sql.col("rows").isNull()
    known = both.select(*key, "time", is_ask.alias("is_ask"), sql.struct(*told).alias("told"))
    answered = asks.join(known.where("is_ask"), [*key, "time"])
    by_name = [sql.max(sql.when(sql.col("name") == n, sql.col("told"))).alias(n) for n in asked]
    each = answered.groupBy("session", "item").agg(*by_name)
    return candidates.join(each, ["session", "item"])


def summed(
    log: DataFrame, outcome: str, key: tuple[str, ...], wanted: list[tuple[AsOf, int]], start: int
) -> DataFrame:
    """Sum the rows of a log by key and time: rows, and what else the wanted columns need.

    start: time from which decays are counted.
    """
    kinds, ts = {what for what, _ in wanted}, sql.col("ts").cast("long")
    sums: dict[str, Column] = {"rows": sql.lit(1)}
    if kinds & {AsOf.CLICKS, AsOf.RATE}:
        sums["labelled"] = sql.col(outcome).isNotNull().cast("int")
        sums["clicks"] = (sql.col(outcome) > 0).cast("int")
    if AsOf.DEPTH in kinds:
        sums["units"] = sql.get(sql.lit(units_of_length(log)), sql.col("length"))
    for what, half_life in wanted:
        if what == AsOf.DECAYED:
            term = sql.pow(sql.lit(2.0), (ts - sql.lit(start)) / sql.lit(half_life))
            sums[f"decayed_{half_life}"] = term
    for name in key:
        log = log.where(sql.col(name) >= 0)
    return log.groupBy(*key, ts.alias("time")).agg(*(sql.sum(s).alias(n) for n, s in sums.items()))


def units_of_length(log: DataFrame) -> I64:
    """Return the logarithm of each length of a list in UNITs, as the CPU has it."""
    longest = log.agg(sql.max("length")).collect()[0][0] or 1
    length = np.maximum(np.arange(longest + 1), 1)
    return np.rint(np.log(length) * UNIT).astype(np.int64)


def decay_base(log: DataFrame, feature: AsOfFeature) -> int:
    """Return the first second of the log, 0 where no column decays.

    Raises ValueError where a term of the last second, 2 to the number of half-lives since, is no
    float64.
    """
    halves = [seconds for what, seconds in feature.columns() if what == AsOf.DECAYED]
    if not halves:
        return 0
    first, last = log.agg(sql.min("ts"), sql.max("ts")).collect()[0]
    if first is not None and last - first > OLDEST * min(halves):
        raise ValueError(
            f"{feature.label}: a half-life of {min(halves)} s is too short for a log of "
            f"{last - first:,} s on Spark; take {(last - first) / OLDEST:.0f} s or more"
        )
    return first or 0
