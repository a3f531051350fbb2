"""Select the seed items of a query: items of its history that a retriever starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from src.candidates import seeds_kernel
from src.candidates.seeds_kernel import Scope
from src.core.arrays import F64, I32, I64
from src.data.split_data import SplitData
from src.data.units import Weights

SCOPES = tuple(scope.name.lower() for scope in Scope)


class SeedItems(NamedTuple):
    """Weighted seed items by query as CSR, latest first."""

    offsets: I64
    item: I32
    weight: F64


@dataclass(frozen=True)
class Seeds:
    """Rule that selects and weights the items of a history.

    Scopes: "all" events; "visit", the events of the last visit, where gaps of over 2 hours split
    visits; "visit_ends", the last event of each visit; "day", the 24 hours before the last event.
    The weight of an item is the sum of decay ** (events after it) * type weight over its events.
    """

    scope: str = "all"
    max_items: int | None = None  # the latest different items; None: all
    decay: float = 0.9
    type_weight: Weights = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise ValueError(f"scope {self.scope!r}: one of {', '.join(SCOPES)}")
        if self.max_items is not None and self.max_items < 1:
            raise ValueError(f"seeds: max_items is at least 1, not {self.max_items}")
        if not self.decay > 0:
            raise ValueError(f"seeds: decay is above 0, not {self.decay}")

    def select(self, data: SplitData, first: int, end: int) -> SeedItems:
        """Select the seeds of sessions first : end."""
        s = data.sessions
        unbounded = np.iinfo(np.int64).max
        return SeedItems(*seeds_kernel.select_items(
            s.offsets, s.item, s.ts, s.type, first, end, SCOPES.index(self.scope),
            unbounded if self.max_items is None else self.max_items, float(self.decay),
            np.array(self.type_weight, np.float64),
        ))  # fmt: skip
