"""Write the tables of a split from the raw logs and the plan of the split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.parquet import TableWriter
from src.core.run import Run
from src.data import paths
from src.data.recipe import Objective
from src.data.schemas import EVENTS, LABELS, POSITIVE, SESSIONS
from src.datasets.session_log import SessionLog

ROW_GROUP = 1 << 20  # sessions
BEFORE = pl.col("ts") < pl.col("until")
VISIBLE = BEFORE & (pl.col("position") < pl.col("keep"))
HIDDEN = BEFORE & pl.col("position").is_between(pl.col("keep"), pl.col("end"), closed="left")
"""Conditions on the events of a log with the columns of the plan."""


@dataclass(frozen=True)
class SplitTables:
    """Writes the tables of one split; subclasses add columns and choose other labels."""

    run: Run
    plan: Path  # PLAN (src/datasets/windows.py)
    history: SessionLog
    queries: SessionLog

    @property
    def events_schema(self) -> pl.Schema:
        """EVENTS, and the context columns of the log."""
        return EVENTS

    def write_sessions(self, path: Path) -> None:
        """Write SESSIONS, in dense order."""
        plan = pl.scan_parquet(self.plan)
        plan.select(SESSIONS.names()).sink_parquet(path, row_group_size=ROW_GROUP)

    def write_events(self, path: Path) -> None:
        """Write EVENTS: the events before the cut."""
        with TableWriter(path, self.events_schema) as writer:
            for query in (False, True):
                for rows in self.events(query, VISIBLE):
                    rows = rows.with_columns((pl.col("ts") // 1000).cast(pl.Int32))
                    writer.add(self.with_context(rows).select(self.events_schema.names()))

    def with_context(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add the context columns of `events_schema`."""
        return rows

    def write_labels(self, path: Path) -> None:
        """Write LABELS: an item once, with its last grade."""
        tables, pair = [pl.DataFrame(schema=LABELS)], ["session", "item"]
        for rows in self.judged():
            for n, objective in enumerate(self.run.recipe.objectives):
                number = pl.lit(n, pl.Int8).alias("objective")
                labels = self.labels_of(rows, objective).with_columns(number).select(LABELS.names())
                tables.append(labels.unique(pair, keep="last", maintain_order=True))
        pl.concat(tables).sort(LABELS.names()).write_parquet(path)

    def judged(self) -> Iterator[pl.DataFrame]:
        """Yield the events from which labels are made: those behind the cut."""
        return self.events(True, HIDDEN)

    def labels_of(self, rows: pl.DataFrame, objective: Objective) -> pl.DataFrame:
        """Select the next event of the objective's type, or all; add the grade."""
        of_type = rows.filter(pl.col("type") == self.run.recipe.types.index(objective.name))
        if objective.next_only:
            first = pl.col("position") == pl.col("position").min().over("session")
            of_type = of_type.filter(first)
        return of_type.with_columns(POSITIVE)

    def events(self, query: bool, condition: pl.Expr | bool) -> Iterator[pl.DataFrame]:
        """Yield raw events of history or queries that meet a condition, in order, with dense ids.

        A frame holds whole sessions of one part, so one part is in memory at a time.
        """
        plan = pl.read_parquet(self.plan).with_row_index("dense").filter(pl.col("query") == query)
        plan = plan.select("line", "keep", "end", "until", pl.col("dense").cast(pl.Int32))
        item_ids = pl.read_parquet(paths.items(self.run))["item_id"]
        log, name = (self.queries, "queries") if query else (self.history, "history")
        for part in self.run.progress(log.parts(), f"{self.plan.stem}, {name}"):
            rows = log.read(part)
            if rows.is_empty():
                continue
            first, end = plan["line"].search_sorted([rows["line"][0], rows["line"][-1] + 1])
            lines = plan.slice(first, end - first)
            if lines.height:
                rows = rows.join(lines, on="line", maintain_order="left").filter(condition)
                rows = log.with_items(rows, item_ids)
                yield rows.rename({"session": "raw", "dense": "session"})
