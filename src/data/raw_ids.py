"""Read the raw ids of sessions and items."""

from __future__ import annotations

from pathlib import Path

import polars as pl


def session_ids(sessions: Path) -> pl.Series:
    """Read the raw id of each dense session from a SESSIONS table: Int64, or String for texts."""
    names = pl.read_parquet_schema(sessions)
    return pl.read_parquet(sessions, columns=["id" if "id" in names else "session"]).to_series()


def item_ids(items: Path) -> pl.Series:
    """Read the raw id of each dense item from items.parquet: Int64, or String for texts."""
    return pl.read_parquet(items, columns=["item_id"]).to_series()
