"""Give the rows of a block their types; say what is wrong with the others."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from src.datasets.antm2c.columns import (
    BAD,
    CATEGORIES,
    ITEM,
    LABEL,
    NUMBERS,
    ROWS,
    SCENE,
    TEXTS,
    TIME,
    USER,
)
from src.datasets.antm2c.csv_blocks import NOT_UTF8, SHOWN, Parsed

FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M")
"""Of times; the second has minutes only, and may lack leading zeros."""
YEARS = (2000, 2037)  # first and last; seconds since 1970 are int32
SHORT = (USER, ITEM, TIME, LABEL, SCENE)
"""Columns whose blanks around the value do not count."""
RAW = "raw "
"""Begins the names of columns as they stand in the file."""


class Typed(NamedTuple):
    """ROWS and BAD of a block."""

    rows: pl.DataFrame
    bad: pl.DataFrame


def typed(block: Parsed, source: str, labelled: bool) -> Typed:
    """Convert the rows of a block; source: name of the file.

    labelled: whether a row needs a label. In a test file, what is no label is a missing one.
    """
    text = block.text
    if LABEL not in text.columns:
        text = text.with_columns(pl.lit(None, pl.String).alias(LABEL))
    raw = text.select(pl.col(name).str.strip_chars().alias(RAW + name) for name in SHORT)
    columns: dict[str, pl.Expr | pl.Series] = {
        "row": pl.Series(block.row), "line": pl.Series(block.line), "ts": seconds(RAW + TIME),
        USER: pl.col(RAW + USER).cast(pl.Int64, strict=False),
        ITEM: pl.col(RAW + ITEM).cast(pl.Int64, strict=False),
        LABEL: click(RAW + LABEL), SCENE: known(RAW + SCENE),
        **{name: pl.col(name) for name in (*TEXTS, *CATEGORIES)},
        **{name: number(name) for name in NUMBERS},
    }  # fmt: skip
    rows = text.drop(SHORT).hstack(raw).select(**columns).cast(ROWS)
    every = rows.hstack(raw).with_columns(reason=fault(labelled))
    good = every["reason"].is_null()
    fields = pl.concat_str([pl.col(RAW + c).fill_null("") for c in SHORT], separator=",")
    wrong = every.filter(~good).select("row", "line", "reason", text=fields.str.head(SHOWN))
    misshapen = pl.DataFrame(block.bad, schema=pl.Schema(list(BAD.items())[1:]), orient="row")
    bad = pl.concat([wrong, misshapen]).sort("row")
    bad = bad.select(pl.lit(source).alias("file"), *BAD.names()[1:])
    return Typed(rows.filter(good).select(ROWS.names()), bad)


def fault(labelled: bool) -> pl.Expr:
    """Say the first fault of a row, null where there is none."""

    def wrong(name: str, should: str) -> pl.Expr:
        value = pl.col(RAW + name).fill_null("").str.head(SHOWN)
        reason = pl.format(f"{name} is '{{}}', not {should}", value)
        typed_name = "ts" if name == TIME else name
        return pl.when(pl.col(typed_name).is_null()).then(reason)

    bytes_wrong = pl.any_horizontal(pl.col(pl.String).str.contains(NOT_UTF8, literal=True))
    faults = [
        pl.when(bytes_wrong).then(pl.lit("not UTF-8 text")),
        wrong(USER, "a whole number"),
        wrong(ITEM, "a whole number"),
        wrong(TIME, "a time like 2023-08-03 00:00:00 or 2023/8/3 0:00"),
    ]
    return pl.coalesce([*faults, wrong(LABEL, "0 or 1")] if labelled else faults)


def seconds(name: str) -> pl.Expr:
    """Convert a time in one of FORMATS to seconds since 1970, as if the clock were UTC's."""
    times = [pl.col(name).str.to_datetime(form, strict=False, time_unit="ms") for form in FORMATS]
    time = pl.coalesce(times)
    return pl.when(time.dt.year().is_between(*YEARS)).then(time.dt.epoch("s"))


def click(name: str) -> pl.Expr:
    """Convert a label: 0, 1, or null where it is neither."""
    label = pl.col(name).cast(pl.Float64, strict=False)
    return pl.when(label.is_in([0.0, 1.0])).then(label)


def number(name: str) -> pl.Expr:
    """Convert a number; null where there is none, or one that is not finite."""
    value = pl.col(name).cast(pl.Float32, strict=False)
    return pl.when(value.is_finite()).then(value)


def known(name: str) -> pl.Expr:
    """Return a text; null where it is empty."""
    return pl.when(pl.col(name) != "").then(pl.col(name))
