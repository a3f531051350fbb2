"""Write the tables of a split of a log: ids as texts, ratings and context, graded labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.parquet import TableWriter
from src.data.recipe import Objective
from src.data.schemas import EVENTS, GIVEN, SESSIONS
from src.datasets.interactions.flags import HELD_OUT, UNSEEN, Flags
from src.datasets.interactions.found import Found
from src.datasets.interactions.log import InteractionLog
from src.datasets.split_tables import HIDDEN, ROW_GROUP, VISIBLE, SplitTables


@dataclass(frozen=True)
class InteractionTables(SplitTables):
    """Writes the tables of one split; `queries` and `history` are the same log."""

    queries: InteractionLog
    flags: Flags
    found: Found
    context: Path | None  # line, and a column per attribute of users

    @property
    def events_schema(self) -> pl.Schema:
        """EVENTS, then the rating and the attributes of the user."""
        schema = pl.Schema(EVENTS)
        if self.found.has_ratings:
            schema["rating"] = pl.Float32()
        schema.update(dict.fromkeys(self.found.context, pl.Int32()))
        return schema

    def with_context(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add the attributes of the user."""
        if self.context is None:
            return rows
        return rows.join(pl.read_parquet(self.context), on="line", maintain_order="left")

    def write_sessions(self, path: Path) -> None:
        """Write SESSIONS in dense order; where ids are texts, with a column `id`."""
        plan, ids = pl.read_parquet(self.plan), pl.read_parquet(self.queries.users)["id"]
        sessions = plan.select(SESSIONS.names())
        if ids.dtype == pl.String:
            sessions = sessions.with_columns(id=ids.gather(plan["line"]))
        sessions.write_parquet(path, row_group_size=ROW_GROUP)

    def judged(self) -> Iterator[pl.DataFrame]:
        """Yield the hidden events; of unseen items alone, where lists hold no others."""
        if self.flags.candidates != UNSEEN:
            yield from super().judged()
            return
        for rows in self.events(True, True):
            pair = ["session", "item"]
            hidden, seen = rows.filter(HIDDEN), rows.filter(VISIBLE)
            yield hidden.join(seen, on=pair, how="anti", maintain_order="left")

    def labels_of(self, rows: pl.DataFrame, objective: Objective) -> pl.DataFrame:
        """Grade the events of a type: by the rating, where the flags say so.

        An item's last rating counts. Grade 0 is kept where it is among the candidates.
        """
        graded = super().labels_of(rows, objective)
        if not self.flags.reads_ratings:
            return graded
        last = graded.unique(["session", "item"], keep="last", maintain_order=True)
        grade = pl.col("rating").clip(0).fill_null(0) if self.flags.grades else pl.col("grade")
        if self.flags.relevant is not None:
            grade = pl.when(pl.col("rating") >= self.flags.relevant).then(grade).otherwise(0)
        judged = pl.lit(self.flags.candidates == HELD_OUT)
        graded = last.with_columns(grade=grade.cast(pl.Float32))
        return graded.filter(judged | (pl.col("grade") > 0))

    def write_given(self, path: Path) -> None:
        """Write GIVEN: the hidden items of each query."""
        with TableWriter(path, GIVEN) as writer:
            for rows in self.events(True, HIDDEN):
                pairs = rows.select(GIVEN.names()).unique().sort(GIVEN.names())
                writer.add(pairs)
