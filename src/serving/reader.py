"""Read events as people write them: `clicks:7 carts:12`, by raw id or by title."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import numpy as np

from src.serving.item_names import ItemNames
from src.serving.query import MAX_EVENTS, Query

LONGEST = 64 * MAX_EVENTS
"""Letters of events that are read."""


@dataclass(frozen=True)
class QueryReader:
    """Turns texts into queries; now: seconds of the last event; gap: seconds between two events."""

    names: ItemNames
    types: tuple[str, ...]
    texts: bool  # whether sessions have texts
    now: int
    gap: int

    def read(self, events: str = "", text: str = "") -> Query:
        """Read a query: events, earliest first, the last one now; and a text.

        A title with blanks stands in quotes. Without a type, an event has the first one. Raises
        ValueError, with the cure, for what cannot be read.
        """
        if text.strip() and not self.texts:
            raise ValueError("this dataset has no texts; give events")
        pairs = [self._event(word) for word in self._words(events)]
        item = np.array([item for item, _ in pairs], np.int32)
        type_ = np.array([type_ for _, type_ in pairs], np.int8)
        ago = self.gap * np.arange(len(pairs) - 1, -1, -1)
        return Query(item, type_, np.maximum(self.now - ago, 0).astype(np.int32), text)

    def _words(self, events: str) -> list[str]:
        if len(events) > LONGEST:
            raise ValueError(f"events of {len(events):,} letters; give {LONGEST:,} at most")
        try:
            words = shlex.split(events)
        except ValueError:
            raise ValueError("a quote in the events has no end; close it, or escape it") from None
        if len(words) > MAX_EVENTS:
            raise ValueError(f"{len(words):,} events; give the last {MAX_EVENTS} at most")
        return words

    def _event(self, word: str) -> tuple[int, int]:
        """Return item and type of `type:name`, or of a name alone; ids may have colons."""
        type_, colon, name = word.partition(":")
        if not colon:
            return self.names.find(word), 0
        item = self.names.known(word)
        if type_ in self.types and (item is None or self.names.known(name) is not None):
            if not name:
                raise ValueError(f"no item after {word!r}; give its id or title")
            return self.names.find(name), self.types.index(type_)
        if item is not None:
            return item, 0
        raise ValueError(f"unknown event type {type_[:60]!r}; they are {', '.join(self.types)}")
