"""Make the tables of a split from its rows, a block at a time."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from src.data.impressions import IMPRESSIONS
from src.data.schemas import EVENTS, GIVEN, LABELS
from src.datasets.antm2c.columns import LABEL, USER
from src.datasets.antm2c.cuts import Part
from src.datasets.antm2c.given import COLUMNS, given_columns
from src.datasets.antm2c.ids import Ids
from src.datasets.antm2c.logs import ALONE, minute

CONTEXT = ("hour", "weekday")
"""Columns of an impression behind those of IMPRESSIONS, by the clock of the file."""
IDS = pl.Schema({"session": pl.Int64, "query": pl.Boolean, "user": pl.Int64})
"""SESSIONS: the raw id of a session is the number of its row of all files."""


def _with(schema: pl.Schema, numbers: tuple[str, ...]) -> pl.Schema:
    return pl.Schema([*schema.items(), *((name, pl.Float32()) for name in numbers)])


SCHEMAS = {
    "sessions": IDS, "impressions": _with(IMPRESSIONS, CONTEXT), "given": _with(GIVEN, COLUMNS),
    "labels": LABELS, "events": EVENTS,
}  # fmt: skip
"""Schemas of the tables by the name of their file."""


@dataclass(frozen=True)
class TableMaker:
    """Makes the tables of a split; block_s: seconds of `valid`.

    Clicks are known of rows before the split. In train_1 they are known of rows before stretches as
    long as `valid`, so that features of all splits have one meaning.
    """

    part: Part
    ids: Ids
    block_s: int

    def make(self, name: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Make the rows of a table; rows: ROWS with id, dense ids and the dense session."""
        columns: dict[str, pl.Expr] = {}
        if name == "sessions":
            columns = {"session": pl.col("id"), "query": pl.lit(True), "user": pl.col(USER)}
        elif name == "impressions":
            time = pl.from_epoch("ts")
            columns = {"clicks_until": minute(self.clicks_until()), "ts": minute(pl.col("ts")),
                       "hour": time.dt.hour(), "weekday": time.dt.weekday(),
                       "visit": pl.lit(ALONE["visit"]), "page": pl.lit(ALONE["page"])}  # fmt: skip
        elif name == "given":
            rows = rows.select("session", "item").hstack(given_columns(rows, self.ids))
        elif name == "labels":
            rows = rows.drop_nulls(LABEL)
            columns = {"objective": pl.lit(0), "grade": pl.col(LABEL)}
        else:
            rows = rows.clear()
            columns = {"type": pl.lit(0)}
        schema = SCHEMAS[name]
        return rows.with_columns(**columns).select(schema.names()).cast(schema)

    def clicks_until(self) -> pl.Expr:
        """Return the time from which clicks are unknown to a row."""
        if self.part.role != "train":
            return pl.lit(self.part.first)
        behind = self.part.end - 1 - pl.col("ts")
        return self.part.end - (behind // self.block_s + 1) * self.block_s
