"""Configure a simulated shop, and draw its items and the first event of each session.

The numbers are tuned like those of simulate_kernel.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.core.arrays import I64
from src.datasets.demo.simulate_kernel import PAUSE_MS, RHYTHM, Shop
from src.datasets.times import DAY_MS

TYPES = ("clicks", "carts", "orders")
START_MS = 1_659_304_800_000  # OTTO's first midnight in Berlin, in ms since 1970
OTTO_ITEMS, OTTO_SESSIONS, OTTO_TEST_SESSIONS = 1_855_603, 12_899_779, 1_671_803


@dataclass(frozen=True)
class ShopConfig:
    """Size and seed of a shop."""

    sessions: int  # of train; the share of test sessions is that of OTTO
    items: int
    days: int = 28  # of train
    test_days: int = 7  # right after
    community_items: int = 400  # mean items of a community
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sessions < 10 or self.items < 100:
            raise ValueError("a simulated shop needs at least 10 sessions and 100 items")

    @classmethod
    def like_otto(cls, sessions: int, seed: int = 0) -> ShopConfig:
        """Configure a shop with as many items per session as OTTO has."""
        return cls(sessions, max(100, round(sessions * OTTO_ITEMS / OTTO_SESSIONS)), seed=seed)

    @property
    def test_sessions(self) -> int:
        return round(self.sessions * OTTO_TEST_SESSIONS / OTTO_SESSIONS)


def open_shop(config: ShopConfig) -> Shop:
    """Draw communities (sizes by Zipf's law) and items; a fifth of the items is new in train."""
    rng = np.random.default_rng([config.seed, 0])
    n, days = config.items, config.days
    popularity = (np.arange(max(3, n // config.community_items)) + 10.0) ** -0.9
    share = np.cumsum(popularity**0.5)
    first = np.concatenate([[0], np.round(share / share[-1] * n)]).astype(np.int64)
    community = np.repeat(np.arange(popularity.size, dtype=np.int32), np.diff(first))
    birth = days * (1 - 5 * rng.random(n))
    peak = np.where(birth > 0, birth, rng.uniform(-7, days + config.test_days, n))
    peak[rng.random(n) < 0.6] = -np.inf
    trends = np.array([birth, peak, rng.uniform(1, 6, n)], np.float32)
    aid = rng.permutation(n).astype(np.int32)
    cdf = np.cumsum(popularity) / popularity.sum()
    return Shop(config.seed, first, community, cdf, trends, aid, np.ones(n, np.bool_))


def first_events(config: ShopConfig, test: bool) -> I64:
    """Draw the times of the sessions' first events: sorted, in ms since the start of train.

    Half of the train sessions belong to regular customers and begin in the first days of train. All
    other sessions begin evenly over the period.
    """
    rng = np.random.default_rng([config.seed, 1 + test])
    n, days = config.sessions, config.days
    if test:
        n, days = config.test_sessions, config.test_days
    day = rng.random(n) * days
    if not test:
        day = np.where(rng.random(n) < 0.5, rng.exponential(6.0, n) % days, day)
    hour = np.searchsorted(RHYTHM, rng.random(n), side="right") + rng.random(n)
    ms = (np.floor(day) + hour / 24) * DAY_MS
    # half an hour stays free, so that there is time for a second event
    last = days * DAY_MS - PAUSE_MS - 1
    return np.sort(np.minimum(ms.astype(np.int64), last)) + test * config.days * DAY_MS
