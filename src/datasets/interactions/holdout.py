"""Parse the rule by which events are held out: --split."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from src.core.arrays import I64

LAST, RANDOM, TIME = "last", "random", "time"
DAYS_OF = {"d": 1.0, "h": 1 / 24, "m": 1 / 1440}
HELP = (
    "what valid hides: time, a last window whose length fits the log; time:7d, the last seven days "
    "(or 12h, 30m); last:1, the last event of every user; last:0.2, the last fifth of it; "
    "random:0.25, a random quarter"
)


@dataclass(frozen=True)
class Holdout:
    """Rule that says which events are held out."""

    text: str  # the flag
    rule: str  # TIME, LAST or RANDOM
    amount: float  # days, 0: open; events from 1 on, or a share below 1

    @classmethod
    def parse(cls, text: str) -> Holdout:
        """Parse a flag; raise ValueError, with the forms there are, for another one."""
        if text == TIME:
            return cls(text, TIME, 0.0)
        rule, _, amount = text.partition(":")
        if rule == TIME and (match := re.fullmatch(r"(\d+(?:\.\d+)?)([dhm])", amount)):
            days = float(match[1]) * DAYS_OF[match[2]]
            if days > 0:
                return cls(text, rule, days)
        if rule in (LAST, RANDOM) and re.fullmatch(r"\d+|0?\.\d+", amount):
            number = float(amount)
            whole = rule == LAST and number >= 1
            if whole or 0 < number < 1:
                return cls(text, rule, number)
        raise ValueError(
            f"--split {text}: no such rule; give time, time:7d, last:1, last:0.2 or random:0.25"
        )

    @property
    def days(self) -> float:
        """Length of a window."""
        assert self.rule == TIME
        return self.amount

    @property
    def cure(self) -> str:
        """What to do where nobody has events on both sides."""
        if self.rule == TIME:
            return "give another length, or hide the last event of everyone, --split last:1"
        return "hide less, or give more data"

    def hidden(self, events: I64) -> I64:
        """Return how many of a user's events are hidden: a share is rounded to the nearest."""
        if self.amount >= 1:
            return np.full(events.size, int(self.amount), np.int64)
        return np.floor(self.amount * events + 0.5).astype(np.int64)

    def visible(self, events: I64) -> I64:
        """Return how many of a user's events stay visible: all, where none would."""
        hidden = self.hidden(events)
        return np.where(hidden < events, events - hidden, events)
