"""Plan the splits as the organisers of OTTO cut them: which sessions, and which of their events.

A window is a period of train as long as the test file lasts; the last window ends with train.
`valid` holds out the sessions that begin in the last window, and cuts each of them at a random
event. All other sessions are trimmed where the window begins. The windows before give train splits
in the same way. `test` holds all of train, then the test sessions as queries.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from src.core.arrays import I64, hash_unit
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
        "end": pl.Int32,
        "until": pl.Int64,
    }
)
"""One session a row, in dense order: its line in the raw file, and which of its events count.

Visible events are the first `keep` ones, if before `until` (ms). Labels are the events from `keep`
to `end`, if before `until`. The number of an event is its `position` in the log.
"""


@dataclass(frozen=True)
class Windows:
    """The logs of a run, and the periods that splits hold out."""

    train: SessionLog
    test: SessionLog | None
    recipe: Recipe
    sample: float
    cure: str = "set a {} split_days in the recipe, or raise --sample"  # smaller or larger

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

    def plan(self, back: int, scored: bool = False) -> pl.DataFrame:
        """Plan the split that holds out the window `back` windows before the last one.

        The random cuts are those of the organisers' script. An earlier window is planned as if
        train ended with it. Raises ValueError where a split that is scored, such as that of the
        last window, has no history or no queries.
        """
        until = self._start(back - 1) if back else FOREVER
        history, queries = self._of_window(back, until)
        if back:
            queries = self._events_before(queries, until)
        queries = queries.filter(pl.col("events") > 1)
        if scored or not back:
            self._require_sessions(history, "before", "smaller", back)
            self._require_sessions(queries, "in", "larger", back)
        draws = random.Random(self.recipe.seed)
        keep = [draws.randint(1, n - 1) for n in queries["events"]]
        plans = (make_plan(history, False, until=self._start(back)),
                 make_plan(queries, True, keep=keep, until=until))  # fmt: skip
        return pl.concat(plans)

    def plan_whole(self) -> pl.DataFrame:
        """Plan the split whose queries are the whole sessions of the last window.

        Sessions without an event are queries too.
        """
        sessions = self.sampled(self.train.sessions()).collect(engine="streaming")
        begun = (pl.col("first") >= self._start(0)) | (pl.col("events") == 0)
        plans = make_plan(sessions.filter(~begun), False), make_plan(sessions.filter(begun), True)
        return pl.concat(plans)

    def _of_window(self, back: int, until: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the sessions that begin before a window, and those that begin in it."""
        sessions = self.sampled(self.train.sessions()).collect(engine="streaming")
        first, start = pl.col("first"), self._start(back)
        # a session that begins exactly at the start is in neither, as in the organisers' script
        return sessions.filter(first < start), sessions.filter(first > start, first < until)

    def plan_test(self) -> pl.DataFrame:
        """Plan `test`: all of train, then all test sessions as queries."""
        assert self.test is not None
        train, test = (self.sampled(log.sessions()).collect() for log in (self.train, self.test))
        if test.is_empty():
            raise ValueError(f"--sample {self.sample} keeps no test session; raise it")
        return pl.concat([make_plan(train, False), make_plan(test, True)])

    def start_second(self, back: int) -> int:
        """Return the second in which a window begins; -1: the window after the log."""
        return self._start(back) // 1000

    def _start(self, back: int) -> int:
        return self.train.end() - round((back + 1) * self.days * DAY_MS)

    def _events_before(self, sessions: pl.DataFrame, until: int) -> pl.DataFrame:
        """Replace the sessions' numbers of events by those before a time."""
        before = self.train.events().filter(pl.col("ts") < until).group_by("line").agg(n=pl.len())
        counted = sessions.lazy().join(before, on="line", how="left", maintain_order="left")
        return counted.with_columns(events=pl.col("n").cast(pl.Int32)).collect(engine="streaming")

    def _require_sessions(self, sessions: pl.DataFrame, where: str, change: str, back: int) -> None:
        if sessions.is_empty():
            ago = f", {back} windows before the end" if back else ", which are held out"
            raise ValueError(
                f"{self.train.source}: no session begins {where} the last {self.days:g} days{ago}; "
                f"{self.cure.format(change)}"
            )


def make_plan(
    sessions: pl.DataFrame,
    query: bool,
    keep: Sequence[int] | I64 | None = None,
    end: I64 | None = None,
    until: int = FOREVER,
) -> pl.DataFrame:
    """Make the PLAN of sessions (SESSION_ROWS) that are queries, or history.

    keep, end: of each session; None: all events.
    """
    limits = {name: pl.lit(ALL_EVENTS) if values is None else pl.Series(values)
              for name, values in (("keep", keep), ("end", end))}  # fmt: skip
    columns = sessions.with_columns(query=pl.lit(query), until=pl.lit(until), **limits)
    return columns.select(PLAN.names()).cast(PLAN)
