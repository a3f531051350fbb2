"""A log of sessions as parquet parts, and a table of its sessions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.data.log_end import log_end
from src.data.units import HOUR

SESSION_ROWS = pl.Schema(
    {
        "line": pl.Int32,
        "session": pl.Int64,
        "first": pl.Int64,
        "last": pl.Int64,
        "events": pl.Int32,
        "part": pl.Int32,
    }
)
"""One session a row, in file order: ms of its first and last event, and the part that holds it."""


@dataclass(frozen=True)
class SessionLog:
    """Raw files, and parquet parts beside `table` with their events.

    An event has line, session, position in the session from 0, aid (raw id of the item), ts (ms)
    and type. A part holds whole sessions.
    """

    source: Path
    table: Path  # output/raw/<stem>.parquet: SESSION_ROWS

    def sessions(self) -> pl.LazyFrame:
        """Scan SESSION_ROWS."""
        return pl.scan_parquet(self.table)

    def counts(self) -> tuple[int, int]:
        """Count sessions and events."""
        row = self.sessions().select(pl.len(), pl.col("events").sum()).collect().row(0)
        return int(row[0]), int(row[1])

    def start(self) -> int:
        """Time of the first event, in ms."""
        return int(self.sessions().select(pl.col("first").min()).collect().item())

    def end(self) -> int:
        """Time where the log ends, in ms: of its last event, or before a thin tail (`log_end`).

        Stray sessions may be in the last window, but do not say where it ends.
        """
        return log_end(self.sessions().select("last"), HOUR * 1000)

    def late_sessions(self) -> int:
        """Count the sessions that go on after `end`."""
        late = pl.col("last") > self.end()
        return int(self.sessions().select(late.sum()).collect().item())

    def parts(self) -> list[Path]:
        """List the files of all parts."""
        last = self.sessions().select(pl.col("part").max()).collect().item()
        return [self.part(n) for n in range(last + 1)]

    def part(self, n: int) -> Path:
        return self.table.with_name(f"{self.table.stem}-{n:04}.parquet")

    def events(self) -> pl.LazyFrame:
        """Scan all events, in file order."""
        return pl.scan_parquet(self.parts())

    def read(self, part: Path) -> pl.DataFrame:
        """Read the events of a part, in order."""
        return pl.read_parquet(part)

    def with_items(self, rows: pl.DataFrame, item_ids: pl.Series) -> pl.DataFrame:
        """Add the dense item of each event; item_ids: raw ids, sorted."""
        return rows.with_columns(item=item_ids.search_sorted(rows["aid"]).cast(pl.Int32))
