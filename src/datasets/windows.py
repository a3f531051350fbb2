"""Plan the splits as the organisers of OTTO cut them: which sessions, and which of their events.

A window is a period of train as long as the test file lasts; the last window ends with train.
`valid` holds out the sessions that begin in the last window, and cuts each of them at a random
event. All other sessions are trimmed where the window begins. The windows before give train splits
in the same way. `test` holds all of train, then the test sessions as queries.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from src.core.arrays import hash_unit
from src.datasets.session_log import SessionLog
from src.datasets.times import DAY_MS

if TYPE_CHECKING:
    from src.data.recipe import Recipe

DEFAULT_DAYS = 7  # of a window, where neither recipe nor test file has a length
ALL_EVENTS, FOREVER = 2**31 - 1, 2**63 - 1
MAX_WINDOWS = 8  # held out, at most: `valid` and the windows before it
HISTORY_WINDOWS = 2  # of history before each held-out window, at least
ROUNDING = 0.01  # of a window that may be missing from the log

PLAN = pl.Schema(
    {
        "line": pl.Int32,
        "session": pl.Int64,
        "query": pl.Boolean,
        "keep": pl.Int32,
        "until": pl.Int64,
    }
)
"""One session a row, in dense order: its line in the raw file, and which of its events count.

Visible events are the first `keep` ones, if before `until` (ms). Labels are the later events before
`until`.
"""


@dataclass(frozen=True)
class Windows:
    """The logs of a run, and the periods that splits hold out."""

    train: SessionLog
    test: SessionLog | None
    recipe: Recipe
    sample: float

    def sampled(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Keep the sessions of --sample: a hash of the raw id draws the same ones in every file."""
        if self.sample == 1:
            return rows
        return rows.filter(hash_unit(pl.col("session"), self.recipe.seed) < self.sample)

    @cached_property
    def days(self) -> float:
        """Length of a window: that of the recipe, else that of the test file, else a week."""
        if self.recipe.split_days is not None:
            return self.recipe.split_days
        if self.test is None:
            return DEFAULT_DAYS
        return max(1, round((self.test.end() - self.train.end()) / DAY_MS))

    @property
    def count(self) -> int:
        """Number of windows with enough history to hold them out."""
        length = (self.train.end() - self.train.start()) / (self.days * DAY_MS)
        return min(int(length - HISTORY_WINDOWS + ROUNDING), MAX_WINDOWS)

    def plan(self, back: int) -> pl.DataFrame:
        """Plan the split that holds out the window `back` windows before the last one.

        The random cuts are those of the organisers' script. An earlier window is planned as if
        train ended with it. Raises ValueError where `valid` has no history or no queries.
        """
        start = self._start(back)
        until = self._start(back - 1) if back else FOREVER
        sessions = self.sampled(self.train.sessions()).collect(engine="streaming")
        # a session that begins exactly at the start is in neither, as in the organisers' script
        history = sessions.filter(pl.col("first") < start)
        queries = sessions.filter(pl.col("first") > start, pl.col("first") < until)
        if back:
            queries = self._events_before(queries, until)
        queries = queries.filter(pl.col("events") > 1)
        if not back:
            self._require_sessions(history, "before", "smaller")
            self._require_sessions(queries, "in", "larger")
        draws = random.Random(self.recipe.seed)
        keep = [draws.randint(1, n - 1) for n in queries["events"]]
        return pl.concat(
            [_plan(history, False, until=start), _plan(queries, True, keep=keep, until=until)]
        )

    def plan_test(self) -> pl.DataFrame:
        """Plan `test`: all of train, then all test sessions as queries."""
        assert self.test is not None
        train, test = (self.sampled(log.sessions()).collect() for log in (self.train, self.test))
        if test.is_empty():
            raise ValueError(f"--sample {self.sample} keeps no test session; raise it")
        return pl.concat([_plan(train, False), _plan(test, True)])

    def _start(self, back: int) -> int:
        return self.train.end() - round((back + 1) * self.days * DAY_MS)

    def _events_before(self, sessions: pl.DataFrame, until: int) -> pl.DataFrame:
        """Replace the sessions' numbers of events by those before a time."""
        before = self.train.events().filter(pl.col("ts") < until).group_by("line").agg(n=pl.len())
        counted = sessions.lazy().join(before, on="line", how="left", maintain_order="left")
        return counted.with_columns(events=pl.col("n").cast(pl.Int32)).collect(engine="streaming")

    def _require_sessions(self, sessions: pl.DataFrame, where: str, cure: str) -> None:
        if sessions.is_empty():
            raise ValueError(
                f"{self.train.source}: no session begins {where} the last {self.days:g} days, "
                f"which are held out; set a {cure} split_days in the recipe, or raise --sample"
            )


def _plan(
    sessions: pl.DataFrame, query: bool, keep: list[int] | None = None, until: int = FOREVER
) -> pl.DataFrame:
    kept = pl.lit(ALL_EVENTS) if keep is None else pl.Series(keep)
    columns = sessions.with_columns(query=pl.lit(query), keep=kept, until=pl.lit(until))
    return columns.select(PLAN.names()).cast(PLAN)
