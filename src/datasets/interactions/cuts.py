"""Plan which events of every user a split shows and hides.

A split hides a level: level 0 is the end of every history, level 1 is what comes before it, and so
on. A split of level 1 sees nothing of level 0. What a level is, the rule of --split says.

Random events know no order: there, all splits but a held-out test take turns in hiding other events
of the same histories (Draw), so that all of them see equally much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from src.core.arrays import I64, hash_unit
from src.data.recipe import Recipe
from src.datasets.interactions.holdout import RANDOM, TIME, Holdout
from src.datasets.interactions.log import InteractionLog
from src.datasets.times import DAY_MS
from src.datasets.windows import HISTORY_WINDOWS, MAX_WINDOWS, ROUNDING, make_plan

EARLIER_LEVELS = 3  # of training splits that hide the last or random events of users, at most


@dataclass(frozen=True)
class UserCuts:
    """Plans the splits of a log whose lists are for users."""

    log: InteractionLog
    holdout: Holdout
    recipe: Recipe
    sample: float
    first: int  # level that `valid` hides

    @property
    def count(self) -> int:
        """Number of levels that can be hidden."""
        if self.holdout.rule == RANDOM:
            turns = int(1 / self.holdout.amount + ROUNDING)  # more would hide events again
            return self.first + min(turns, 1 + EARLIER_LEVELS)
        if self.holdout.rule != TIME:
            return 1 + EARLIER_LEVELS
        length = (self.log.end() - self.log.start()) / (self.holdout.days * DAY_MS)
        return max(1, min(int(length - HISTORY_WINDOWS + ROUNDING), MAX_WINDOWS))

    def users(self) -> pl.DataFrame:
        """Read SESSION_ROWS of the users of --sample."""
        rows = self.log.sessions()
        if self.sample < 1:
            rows = rows.filter(hash_unit(pl.col("session"), self.recipe.seed) < self.sample)
        return rows.collect()

    def plan(self, level: int, scored: bool) -> pl.DataFrame:
        """Plan the split that hides a level; ValueError where a scored one has no queries."""
        users = self.users()
        keep, end = self._limits(users, level)
        query = (keep > 0) & (end > keep)
        if scored and not query.any():
            raise ValueError(
                f"{self.log.source}: no user has events on both sides of --split "
                f"{self.holdout.text}, {level} back; {self.holdout.cure}, or raise --sample"
            )
        history = ~query & (keep > 0)
        return pl.concat(
            [
                make_plan(users.filter(mask), is_query, keep=keep[mask], end=end[mask])
                for mask, is_query in ((history, False), (query, True))
            ]
        )

    def plan_whole(self, asked: pl.Series | None) -> pl.DataFrame:
        """Plan the split of whole histories; asked: numbers of its queries; None: all users."""
        users = self.users()
        if asked is None:
            return make_plan(users, True)
        is_asked = users["line"].is_in(asked.implode())
        history = users.filter(~is_asked, pl.col("events") > 0)
        return pl.concat([make_plan(history, False), make_plan(users.filter(is_asked), True)])

    def _limits(self, users: pl.DataFrame, level: int) -> tuple[I64, I64]:
        """Return the numbers of events that are visible, and that are visible or hidden."""
        end = users["events"].to_numpy().astype(np.int64)
        if self.holdout.rule == TIME:
            later = self._before(users, level) if level else end
            return self._before(users, level + 1), later
        keep = self.holdout.visible(end)
        for _ in range(min(level, self.first) if self.holdout.rule == RANDOM else level):
            end, keep = keep, self.holdout.visible(keep)
        return keep, end

    def _before(self, users: pl.DataFrame, windows: int) -> I64:
        """Count the events of each user before the last windows."""
        end = self.log.end() - round(windows * self.holdout.days * DAY_MS)
        before = self.log.events().filter(pl.col("ts") < end).group_by("line").agg(n=pl.len())
        rows = users.lazy().join(before, on="line", how="left", maintain_order="left")
        counts = rows.select(pl.col("n").fill_null(0)).collect(engine="streaming")
        return counts.to_series().to_numpy().astype(np.int64)
