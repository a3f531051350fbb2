"""Read the lists of a submission with a row per query, for its score."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from src.datasets.submission_rows import SubmissionFormat, integers, read

QUERY = ("session", "objective")


def judged_items(path: Path, fmt: SubmissionFormat, truth: pl.DataFrame) -> pl.DataFrame:
    """List the judged items of a submission: session, objective, item, grade, rank from 0.

    Raises ValueError for a repeated row, and where no row is of a query of the ground truth.
    """
    tables, names = [], []
    for rows in _rows(path, fmt, truth):
        names.append(rows.select("line", *QUERY))
        tables.append(_items(rows, fmt).join(truth, on=[*QUERY, "item"]))
    rows = pl.concat(names)
    if rows.is_empty():
        raise ValueError(f"{path} has no row for any query of the labels; give those of its split")
    for line in rows.filter(~pl.struct(QUERY).is_first_distinct())["line"][:1]:
        raise ValueError(f"{path}, line {line}: a row that was there before; keep one")
    return pl.concat(tables)


def listed_items(path: Path, fmt: SubmissionFormat, truth: pl.DataFrame) -> pl.DataFrame:
    """Count how often each item, judged or not, is in a list of the queries of the truth: item, n.

    Only the first k items of a list count.
    """
    counts = [counted(_items(rows, fmt)) for rows in _rows(path, fmt, truth)]
    return pl.concat(counts).group_by("item").agg(pl.col("n").sum())


def counted(items: pl.DataFrame) -> pl.DataFrame:
    """Count the rows of each item: item, n (Int64)."""
    return items.drop_nulls("item").group_by("item").agg(pl.len().cast(pl.Int64).alias("n"))


def _rows(path: Path, fmt: SubmissionFormat, truth: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file that are of queries of the truth, batch by batch."""
    queries = truth.select(QUERY).unique()
    for batch in read(path, fmt):
        yield batch.cast({"objective": pl.Int64}).join(queries, on=QUERY)


def _items(rows: pl.DataFrame, fmt: SubmissionFormat) -> pl.DataFrame:
    """Spread the first k items of the lists over rows: session, objective, item, rank from 0."""
    lists = rows.with_columns(pl.col("items").str.split(fmt.separator).list.head(fmt.k))
    items = lists.select(
        *QUERY, item="items", rank=pl.int_ranges(pl.col("items").list.len())
    ).explode("item", "rank", empty_as_null=False)
    return items.with_columns(integers(items["item"]))
