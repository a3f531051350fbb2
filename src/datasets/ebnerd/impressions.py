"""Make impressions with dense ids from raw rows: for step 1, and for a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.data.impressions import IMPRESSIONS
from src.datasets.ebnerd import files
from src.datasets.ebnerd.files import OF_USER
from src.datasets.ebnerd.logs import Ids, dense, places
from src.export.lists import RawLists

CONTEXT = ("front", "device", "hour", "weekday", "length", *OF_USER)
"""Context columns of an impression: on the front page, device, local hour, ..."""


def impression_table(rows: pl.DataFrame, clicks_until: pl.Expr) -> pl.DataFrame:
    """Make IMPRESSIONS and CONTEXT of rows with dense ids."""
    time = pl.from_epoch("ts")
    context: dict[str, pl.Expr] = {
        "front": pl.col("article_id").is_null(), "device": pl.col("device_type"),
        "hour": time.dt.hour(), "weekday": time.dt.weekday(), "length": pl.col("view").list.len(),
    }  # fmt: skip
    schema = pl.Schema([*IMPRESSIONS.items(), *((name, pl.Float32()) for name in CONTEXT)])
    rows = rows.with_columns(clicks_until=clicks_until, **context)
    return rows.select(schema.names()).cast(schema)


def read_raw(path: Path, folder: Path) -> RawLists:
    """Read the impressions of a file of the raw form; folder: has the ids of step 1.

    Clicks are known of rows before the first one. Raises ValueError, naming the row, for an article
    that step 1 has not seen.
    """
    ids, behaviors = Ids.read(folder), files.read_behaviors(path)
    rows = dense(behaviors.with_columns(clicked=pl.lit(None, pl.List(pl.Int64))), ids)
    listed = rows.select(
        "row", "impression_id", item=pl.col("view").list.unique(maintain_order=True)
    ).explode("item", empty_as_null=False)
    listed = listed.with_columns(dense=places(ids.item, listed["item"]))
    for row, article in (
        listed.filter(pl.col("dense") < 0).select("row", "item").head(1).iter_rows()
    ):
        raise ValueError(
            f"{path}, row {row}: article {article} is new; run all steps and make export with it"
        )
    listed = listed.sort("row", "dense")
    offsets = np.searchsorted(listed["row"].to_numpy(), np.arange(rows.height + 1))
    table = impression_table(rows, pl.col("ts").min())
    keys = listed.select("row", "impression_id", article="item")
    return RawLists(table, offsets.astype(np.int64), listed["dense"].to_numpy(), keys)
