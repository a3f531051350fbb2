"""List the judged items of a submission with a row per query, for its score."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.datasets.submission_rows import SubmissionFormat, integers, read


def judged_items(path: Path, fmt: SubmissionFormat, truth: pl.DataFrame) -> pl.DataFrame:
    """List the judged items of a submission: session, objective, item, grade, rank from 0.

    Raises ValueError for a repeated row, and where no row is of a query of the ground truth.
    """
    tables, names = [], []
    queries = truth.select("session", "objective").unique()
    for batch in read(path, fmt):
        rows = batch.cast({"objective": pl.Int64}).join(queries, on=["session", "objective"])
        names.append(rows.select("line", "session", "objective"))
        lists = rows.with_columns(pl.col("items").str.split(fmt.separator).list.head(fmt.k))
        items = lists.select(
            "session", "objective", item="items", rank=pl.int_ranges(pl.col("items").list.len())
        ).explode("item", "rank", empty_as_null=False)
        items = items.with_columns(integers(items["item"]))
        tables.append(items.join(truth, on=["session", "objective", "item"]))
    rows = pl.concat(names)
    if rows.is_empty():
        raise ValueError(f"{path} has no row for any query of the labels; give those of its split")
    for line in rows.filter(~pl.struct("session", "objective").is_first_distinct())["line"][:1]:
        raise ValueError(f"{path}, line {line}: a row that was there before; keep one")
    return pl.concat(tables)
