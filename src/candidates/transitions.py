"""List the items that followed the seed items in any session, near the time of the query."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numba import get_num_threads

from src.candidates import transitions_kernel as kernel
from src.candidates.base import Retriever
from src.candidates.seeds import Seeds
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.split_data import SplitData
from src.data.units import HOUR, Weights

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class TransitionRetriever(Retriever):
    """Lists followers of the seed items, weighted by their distance in time from the query.

    Like a co-visitation matrix with `backward=0.0` that is counted anew for the time of every
    query.
    """

    seeds: Seeds
    max_steps: int = 1  # events from an item to its follower, at most
    max_gap_s: int = 1800  # seconds from an item to its follower, at most
    half_life: int = HOUR  # seconds from the query at which the weight of a follower halves
    looks_ahead: bool = True  # followers after the query count, too: transductive
    target_weight: Weights = (1.0, 1.0, 1.0)  # by the type of the follower
    top: int = 50

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError if weights lack an event type."""
        super().check(recipe)
        for weights in (self.seeds.type_weight, self.target_weight):
            recipe.check_weights(f"retriever {self.name}", weights)

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of all followers, and of the sums over all items of each thread."""
        events, items = count_rows(paths.events(run, split)), count_rows(paths.items(run))
        return 12 * events * self.max_steps + 16 * events + run.engine.threads * 8 * items

    def causal(self) -> Self:
        """Return the row with followers from before the query only."""
        return replace(self, looks_ahead=False)

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Sum the decayed followers of each query's seeds."""
        steps = np.arange(kernel.REACH * self.half_life // kernel.STEP + 1)
        decay = np.exp2(-steps * kernel.STEP / self.half_life).astype(np.float32)
        return kernel.transition_lists(
            *self.seeds.select(data, first, end), data.query_ts(first, end),
            *self._followers(data), decay, self.looks_ahead, self.top, get_num_threads(),
        )  # fmt: skip

    def _followers(self, data: SplitData) -> kernel.Followers:
        """Index the followers of each item; retrievers with the same followers share the index."""

        def make() -> kernel.Followers:
            s, weights = data.sessions, np.array(self.target_weight, np.float64)
            return kernel.Followers(*kernel.followers(
                s.offsets, s.item, s.ts, s.type, s.n_items, self.max_steps, self.max_gap_s, weights
            ))  # fmt: skip

        key = ("followers", self.max_steps, self.max_gap_s, self.target_weight)
        return data.cached(key, make)
