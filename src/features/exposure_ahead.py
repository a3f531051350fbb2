"""Columns: how often the candidate's key is shown after the list. They look ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import F32
from src.features.as_of import NEVER_S, mean_depth, share_of_list
from src.features.base import QueryBatch
from src.features.keyed_log import ITEM, KeyedLogFeature, span

if TYPE_CHECKING:
    from src.data.recipe import Recipe

COUNTED = ("count", "share", "depth")
SHARE = COUNTED.index("share")


@dataclass(frozen=True)
class ExposureAheadFeature(KeyedLogFeature):
    """Counts the rows with the candidate's key in windows after the list, which no server can.

    For each window the rows strictly later, up to its end, their share of the rows of all
    candidates of the list, and the depth of AsOf; then the seconds to the next row and to the last
    one, NEVER_S at most and 0 where there is none. Clicks are never read.
    """

    log: str
    key: tuple[str, ...]
    windows: tuple[int, ...]  # seconds

    def names(self, recipe: Recipe) -> list[str]:
        counted = [f"{what}_{span(w)}" for w in self.windows for what in COUNTED]
        return [f"ahead_{self.label}_{end}" for end in (*counted, "next", "last")]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        """Rank all but the shares, which have the ranks of their counts."""
        n = len(COUNTED) * len(self.windows)
        ranks = [column for column in range(n + 2) if column >= n or column % len(COUNTED) != SHARE]
        return ranks if ITEM in self.key else ()

    def causal(self) -> None:
        """Return None: all columns look ahead."""

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        lookup = self.lookup(batch)
        later = lookup.first_from(lookup.ts + 1)
        for seconds in self.windows:
            end = lookup.first_from(lookup.ts + seconds + 1)
            X[:, column] = end - later
            X[:, column + SHARE] = share_of_list(end - later, batch.pool.offsets)
            X[:, column + 2] = mean_depth(batch.data, self.log, self.key, later, end)
            column += len(COUNTED)
        there = later < lookup.end
        for number, row in enumerate((later, lookup.end - 1)):
            X[:, column + number] = np.minimum(lookup.time_at(row, there) - lookup.ts, NEVER_S)
