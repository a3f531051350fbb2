"""A query that someone asks: events, a text, or both; its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from src.candidates.texts import MAX_TEXT
from src.core.arrays import I8, I32

MAX_EVENTS = 500
"""Events of a query; longer sessions are rare in any log, and a page can show no more."""
K, MAX_K = 20, 200
"""Items of a list: by default, and at most."""
NEW = -1
"""stands_for of a query that no session of the split is."""


@dataclass(frozen=True)
class Query:
    """Events of a session in time order, and a text; either may be missing.

    item: dense ids. ts: seconds since 1970. context: values of context columns, by name; those of
    other columns are unknown. stands_for: dense session of the split that has these very events, so
    that it is no neighbour of the query; NEW for none.
    """

    item: I32
    type: I8
    ts: I32
    text: str = ""
    context: Mapping[str, I32] = field(default_factory=dict)
    stands_for: int = NEW

    def __post_init__(self) -> None:
        """Raise ValueError for a query without content, or beyond a limit."""
        if not self.item.size and not self.text.strip():
            raise ValueError("the query is empty; give events like clicks:7, or a text")
        if self.item.size > MAX_EVENTS:
            raise ValueError(f"{self.item.size:,} events; give the last {MAX_EVENTS} at most")
        if len(self.text) > MAX_TEXT:
            raise ValueError(f"a text of {len(self.text):,} letters; give {MAX_TEXT:,} at most")
        if (np.diff(self.ts) < 0).any():
            raise ValueError("times of events descend; give the earliest event first")


def list_length(text: str) -> int:
    """Parse the length of a list; ValueError unless it is a whole number from 1 to MAX_K."""
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_K:
        raise ValueError(f"k is {text[:20]!r}; give a whole number from 1 to {MAX_K}")
    return int(text)
