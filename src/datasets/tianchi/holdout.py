"""Choose the clicks that each split hides (src/datasets/tianchi/split.py has the reasons)."""

from __future__ import annotations

import polars as pl

from src.core.arrays import hash_unit

MAX_USERS = 0.5  # share of the train users of any activity that `valid` may take
MAX_HIDDEN = 0.14  # share of all ends that one train split hides at most: few, as in `test`
NO_MATCH_SHARE = 4  # without test users to match, one of so many users is in `valid`
MAX_ACTIVITY = 63  # visible clicks; more active users count as one group
VALID_SEED, TRAIN_SEED = 3, 4  # added to the recipe's seed, so that the draws are independent

HOLDOUT = pl.Schema({"user": pl.Int64, "position": pl.Int64, "split": pl.String})
"""One hidden click a row: its number in the user's log, from 0, and the split that hides it."""


def valid_holdout(users: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Choose the last clicks of train users who are as active as the test users.

    users: user, test, clicks; one row a user.
    """
    visible = pl.col("clicks") - (~pl.col("test")).cast(pl.UInt32)
    users = users.with_columns(
        activity=visible.clip(1, MAX_ACTIVITY).log(2).floor().cast(pl.Int8),
        draw=hash_unit(pl.col("user"), seed + VALID_SEED),
    )
    drawn = users.filter(~pl.col("test"), pl.col("clicks") > 1).sort("draw", "user")
    matched = _match_activity(drawn, users.filter("test"))
    return matched.select("user", position=pl.col("clicks") - 1, split=pl.lit("valid"))


def train_holdout(clicks: pl.DataFrame, valid: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Choose ends of visits for train_1, train_2, ...: one per user and split.

    clicks: user, test, type, position; by user and time. Round 1 holds the last end of each user
    who is not in `valid`, round 2 the end before it, and so on. The ends of a round are divided
    evenly into splits of at most MAX_HIDDEN of all ends.
    """
    limit = max(1, int(MAX_HIDDEN * int(clicks["type"].sum())))
    clicks = clicks.join(valid, on="user", how="anti", maintain_order="left")
    last = (pl.col("user") != pl.col("user").shift(-1, fill_value=-1)) & ~pl.col("test")
    ends = clicks.filter((pl.col("type") == 1) | last, pl.col("position") > 0)
    ends = ends.with_columns(
        round=pl.int_range(pl.len()).over("user", order_by="position", descending=True),
        draw=hash_unit(pl.col("user"), seed + TRAIN_SEED),
    ).sort("round", "draw", "user")
    n, size = pl.int_range(pl.len()).over("round"), pl.len().over("round")
    splits = (size + limit - 1) // limit
    ends = ends.with_columns(part=n * splits // size)
    number = pl.struct("round", "part").rank("dense")
    return ends.select("user", "position", split=pl.format("train_{}", number))


def _match_activity(drawn: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """Keep the first drawn users of each activity, in the proportions of the test users.

    As many users are kept as there are test users, or fewer: MAX_USERS of any activity at most.
    """
    have = drawn.group_by("activity").agg(have=pl.len())
    want = test.group_by("activity").agg(want=pl.len())
    cells = have.join(want, on="activity")
    if cells.is_empty():
        return drawn.head(max(1, drawn.height // NO_MATCH_SHARE))
    size = min(1.0, (cells["have"].to_numpy() * MAX_USERS / cells["want"].to_numpy()).min())
    quota = cells.select("activity", quota=(pl.col("want") * size).ceil())
    rank = pl.int_range(pl.len()).over("activity")
    return (
        drawn.with_columns(rank=rank)
        .join(quota, on="activity", maintain_order="left")
        .filter(pl.col("rank") < pl.col("quota"))
    )
