"""Which clicks of a log the splits hide, and ask for: src/datasets/tianchi/clicklog.py says why these."""

from __future__ import annotations

import polars as pl

from src.core.arrays import hash_unit

MOST = 0.5  # share of the train users of any activity that `valid` may take
HIDDEN = 0.14  # share of all ends that one of the others hides at most: a few, as in `test`

ASKED = pl.Schema({"user": pl.Int64, "place": pl.Int64, "split": pl.String})
"""Queries: a click (place: its number in the user's log, from 0) and the split that hides it."""


def valid(users: pl.DataFrame, seed: int) -> pl.DataFrame:
    """ASKED of `valid`; users: user, test, clicks."""
    visible = pl.col("clicks") - (~pl.col("test")).cast(pl.UInt32)
    users = users.with_columns(
        activity=visible.clip(1, 63).log(2).floor().cast(pl.Int8),
        draw=hash_unit(pl.col("user"), seed + 3),
    )
    drawn = users.filter(~pl.col("test"), pl.col("clicks") > 1).sort("draw", "user")
    alike = _alike(drawn, users.filter("test"))
    return alike.select("user", place=pl.col("clicks") - 1, split=pl.lit("valid"))


def more(clicks: pl.DataFrame, valid: pl.DataFrame, seed: int) -> pl.DataFrame:
    """ASKED of `more_<n>`; clicks: user, test, type, place, by user and time.

    First come the last ends of all users, then the ones before, and so on: a round each, dealt
    out to splits of one size.
    """
    most = max(1, int(HIDDEN * int(clicks["type"].sum())))
    clicks = clicks.join(valid, on="user", how="anti", maintain_order="left")
    last = (pl.col("user") != pl.col("user").shift(-1, fill_value=-1)) & ~pl.col("test")
    ends = clicks.filter((pl.col("type") == 1) | last, pl.col("place") > 0)
    ends = ends.with_columns(
        round=pl.int_range(pl.len()).over("user", order_by="place", descending=True),
        draw=hash_unit(pl.col("user"), seed + 4),
    ).sort("round", "draw", "user")
    n, size = pl.int_range(pl.len()).over("round"), pl.len().over("round")
    parts = (size + most - 1) // most
    ends = ends.with_columns(part=n * parts // size)
    number = pl.struct("round", "part").rank("dense")
    return ends.select("user", "place", split=pl.format("more_{}", number))


def _alike(drawn: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """The first drawn users, as many as test users or fewer, with the test users' activity."""
    have = drawn.group_by("activity").agg(have=pl.len())
    want = test.group_by("activity").agg(want=pl.len())
    cells = have.join(want, on="activity")
    if cells.is_empty():  # nobody to be like
        return drawn.head(max(1, drawn.height // 4))
    size = min(1.0, (cells["have"].to_numpy() * MOST / cells["want"].to_numpy()).min())
    quota = cells.select("activity", quota=(pl.col("want") * size).ceil())
    place = pl.int_range(pl.len()).over("activity")
    return (
        drawn.with_columns(place=place)
        .join(quota, on="activity", maintain_order="left")
        .filter(pl.col("place") < pl.col("quota"))
    )
