"""Choose what the flags leave open: the length of the window, and users or sessions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from src.datasets.interactions.holdout import TIME, Holdout
from src.datasets.interactions.log import InteractionLog
from src.datasets.times import DAY_MS

WEEK = 7
LENGTHS = (WEEK, 14, 30, 90, 365)  # days: the first one with ENOUGH queries is chosen
ENOUGH = 1_000
MANY = 20_000  # queries that are enough in less than a week, where the log is too short for one
LONGEST = 0.25  # of the log, that a chosen window may take
RETURNING = 0.1  # share of the users in the window that were there before, for lists for users
USER, SESSION = "user", "session"


class Choice(NamedTuple):
    """For whom lists are, and what is held out."""

    who: str  # USER, whose history goes on; or SESSION, which begins and ends
    holdout: Holdout
    returning: float  # share of the users in the window that were there before


def choose(log: InteractionLog, who: str, holdout: Holdout) -> Choice:
    """Choose the window, and whether what is called a user is a session.

    who: the role of the column. Users of whom hardly one comes back are sessions. Raises
    ValueError, with the cure, where nobody has events on both sides of what is held out.
    """
    rows = log.dated().filter(pl.col("events") > 0).select("first", "last", "events").collect()
    if holdout.rule != TIME:
        events = rows["events"].to_numpy().astype(np.int64)
        hidden = holdout.hidden(events)
        _require(bool(((hidden > 0) & (hidden < events)).any()), log, holdout)
        return Choice(who, holdout, 1.0)
    end = log.end()
    span = (end - log.start()) / DAY_MS
    lengths = [holdout.amount] if holdout.amount else _lengths(span)
    choices = [_of_length(rows, end, days, who) for days in lengths]
    queries = [count if choice.holdout.amount < span else 0 for choice, count in choices]
    least = [ENOUGH if days >= WEEK else MANY for days in lengths]
    enough = [n for n, count in enumerate(queries) if count >= least[n]]
    best = enough[0] if enough else queries.index(max(queries))
    _require(queries[best] > 0, log, choices[best][0].holdout)
    return choices[best][0]


def _require(some: bool, log: InteractionLog, holdout: Holdout) -> None:
    if not some:
        raise ValueError(
            f"{log.source}: nobody has events on both sides of --split {holdout.text}; "
            f"{holdout.cure}"
        )


def _lengths(span: float) -> list[float]:
    """List the lengths of windows to try, in days; span: of the log, in days."""
    fitting = [float(days) for days in LENGTHS if days <= span * LONGEST]
    if fitting:
        return fitting
    days = span * LONGEST
    if days < 1:
        return [max(int(days * 24), 1) / 24]
    return [float(n) for n in range(1, int(days) + 1)]


def _of_length(rows: pl.DataFrame, end: int, days: float, who: str) -> tuple[Choice, int]:
    """Return the choice for a window, and its number of queries."""
    start = end - round(days * DAY_MS)
    in_window = rows.filter(pl.col("last") >= start)
    both = in_window.filter(pl.col("first") < start).height
    begun = in_window.filter(pl.col("first") > start, pl.col("events") > 1).height
    returning = both / max(in_window.height, 1)
    if who == USER and returning < RETURNING and begun > both:
        who = SESSION
    holdout = Holdout(f"time:{_text(days)}", TIME, days)
    return Choice(who, holdout, returning), both if who == USER else begun


def _text(days: float) -> str:
    return f"{days:g}d" if days >= 1 else f"{days * 24:g}h"
