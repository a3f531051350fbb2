"""A log of interactions as parquet parts with dense ids, and what was counted in its files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import hash_unit
from src.data.log_end import log_end
from src.data.units import HOUR
from src.datasets.interactions.holdout import Holdout
from src.datasets.session_log import SessionLog

MANY = 1_000_003  # events of a user, about: a prime, so that no two events have the same number


@dataclass(frozen=True)
class Draw:
    """Random order of each user's events, in which splits take turns to hide the end.

    Turn 0 hides the last events, turn 1 those before them, and so on: each split hides other events
    and sees as many. If test is held out, its events come last and are in no turn.
    """

    seed: int
    holdout: Holdout
    test_held_out: bool
    turn: int

    def positions(self, rows: pl.DataFrame) -> pl.Series:
        """Draw the position of each event of PART_ROWS in those of its user."""
        event = pl.col("line").cast(pl.Int64) * MANY + pl.col("position")
        drawn = hash_unit(event, self.seed).rank("ordinal").over("line").cast(pl.Int64) - 1
        table = rows.select(drawn.alias("drawn"), pl.len().over("line").alias("events"))
        position, events = table["drawn"].to_numpy(), table["events"].to_numpy().astype(np.int64)
        known = self.holdout.visible(events) if self.test_held_out else events
        turned = (position + self.turn * (known - self.holdout.visible(known))) % known
        return pl.Series(np.where(position < known, turned, position), dtype=pl.Int32)


PART_ROWS = pl.Schema(
    {
        "line": pl.Int32, "session": pl.Int64, "position": pl.Int32, "item": pl.Int32,
        "ts": pl.Int64, "type": pl.Int8, "rating": pl.Float32,
    }
)  # fmt: skip
"""An event of a part. line: number of the user (or session) in user-ids.parquet; session: the raw
id where that is a number, else line. rating: null in a log without ratings."""


@dataclass(frozen=True)
class Facts:
    """What step 1 counted in the files."""

    rows: int  # of all files
    missing: int  # rows left out: without user, item, time, type or rating
    doubled: int  # rows that repeat another one to the letter
    told_once: bool  # whether doubled rows count once
    unit: str  # of the times; "" without times
    types: tuple[str, ...]
    has_ratings: bool
    items: int  # with an event


@dataclass(frozen=True)
class InteractionLog(SessionLog):
    """The parts of a log (PART_ROWS), and the ids beside the table."""

    draw: Draw | None = None  # None: the position of an event is that in time
    asked: pl.Series | None = field(default=None, compare=False)  # sessions that `test` asks for

    def dated(self) -> pl.LazyFrame:
        """Scan SESSION_ROWS of the sessions that say where the log ends: those not asked for."""
        if self.asked is None:
            return self.sessions()
        known = self.sessions().filter(~pl.col("line").is_in(self.asked.implode()))
        some = known.select(pl.col("events").sum() > 0).collect().item()
        return known if some else self.sessions()

    def end(self) -> int:
        """Time where the log ends, in ms: the second after that of SessionLog.

        So a window of days of a log in days has as many, and no session begins as it begins.
        """
        return log_end(self.dated().select("last"), HOUR * 1000) + 1000

    @property
    def users(self) -> Path:
        """Ids of all users (or sessions), sorted: column id, Int64 or String."""
        return self.table.with_name("user-ids.parquet")

    @property
    def items(self) -> Path:
        """Ids of all items, in the order of their numbers: column id, Int64 or String."""
        return self.table.with_name("item-ids.parquet")

    @property
    def facts_file(self) -> Path:
        return self.table.with_name("facts.json")

    @property
    def files(self) -> list[Path]:
        return [self.table, self.users, self.items, self.facts_file]

    def facts(self) -> Facts:
        """Read what was counted."""
        facts = json.loads(self.facts_file.read_text())
        return Facts(**{**facts, "types": tuple(facts["types"])})

    def read(self, part: Path) -> pl.DataFrame:
        """Read PART_ROWS; with `draw`, the position of an event is random in those of its user."""
        rows = super().read(part)
        if self.draw is None:
            return rows
        return rows.with_columns(position=self.draw.positions(rows))

    def with_items(self, rows: pl.DataFrame, item_ids: pl.Series) -> pl.DataFrame:
        """Return the rows: their items are dense."""
        return rows
