"""Write the tables of a split from the raw logs and the plan of the split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.parquet import TableWriter
from src.core.run import Run
from src.data import paths
from src.data.schemas import EVENTS, LABELS, POSITIVE, SESSIONS
from src.datasets.session_log import SessionLog

ROW_GROUP = 1 << 20  # sessions


@dataclass(frozen=True)
class SplitTables:
    """Writes the tables of one split."""

    run: Run
    plan: Path  # PLAN (src/datasets/windows.py)
    history: SessionLog
    queries: SessionLog

    def write_sessions(self, path: Path) -> None:
        """Write SESSIONS, in dense order."""
        plan = pl.scan_parquet(self.plan)
        plan.select(SESSIONS.names()).sink_parquet(path, row_group_size=ROW_GROUP)

    def write_events(self, path: Path) -> None:
        """Write EVENTS: the events before the cut."""
        visible = (pl.col("position") < pl.col("keep")) & (pl.col("ts") < pl.col("until"))
        with TableWriter(path, EVENTS) as writer:
            for query in (False, True):
                for rows in self._events(query, visible):
                    ts = (pl.col("ts") // 1000).cast(pl.Int32)
                    writer.add(rows.with_columns(ts).select(EVENTS.names()))

    def write_labels(self, path: Path) -> None:
        """Write LABELS: of each objective the next item after the cut, or all items after it."""
        recipe, tables = self.run.recipe, [pl.DataFrame(schema=LABELS)]
        hidden = (pl.col("position") >= pl.col("keep")) & (pl.col("ts") < pl.col("until"))
        for rows in self._events(True, hidden):
            for n, objective in enumerate(recipe.objectives):
                positives = rows.filter(pl.col("type") == recipe.types.index(objective.name))
                if objective.next_only:
                    first = pl.col("position") == pl.col("position").min().over("session")
                    positives = positives.filter(first)
                number = pl.lit(n, pl.Int8).alias("objective")
                tables.append(positives.select("session", number, "item", POSITIVE))
        pl.concat(tables).unique().sort(LABELS.names()).write_parquet(path)

    def _events(self, query: bool, condition: pl.Expr) -> Iterator[pl.DataFrame]:
        """Yield raw events of history or queries that meet a condition, in order, with dense ids.

        A frame holds whole sessions of one part, so one part is in memory at a time.
        """
        plan = pl.read_parquet(self.plan).with_row_index("dense").filter(pl.col("query") == query)
        plan = plan.select("line", "keep", "until", pl.col("dense").cast(pl.Int32))
        item_ids = pl.read_parquet(paths.items(self.run))["item_id"]
        log, name = (self.queries, "queries") if query else (self.history, "history")
        for part in self.run.progress(log.parts(), f"{self.plan.stem}, {name}"):
            rows = pl.read_parquet(part)
            first, end = plan["line"].search_sorted([rows["line"][0], rows["line"][-1] + 1])
            lines = plan.slice(first, end - first)
            if lines.height:
                rows = rows.join(lines, on="line", maintain_order="left").filter(condition)
                rows = log.with_items(rows, item_ids)
                yield rows.rename({"session": "raw", "dense": "session"})
