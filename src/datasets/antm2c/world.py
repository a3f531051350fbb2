"""Draw a planted world: items with topics, words and scenes, users with interests, and the truth.

The log-odds of a click are a sum: the scene, with drift; the item, a part of which its topic tells;
the user; whether the user has the item's topic; some anonymous features. So ids decide what has
been shown often, and texts what has not. The numbers are made up, but for the shares and click
rates of the scenes and the ratio of rows, users and items, which are near those of AntM2C.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from src.core.arrays import F32, F64, I32, I64, Mask

SCENES = ("A", "B", "C", "D", "E")
SHARE = (0.056, 0.249, 0.511, 0.114, 0.070)
RATE = (0.045, 0.226, 0.481, 0.270, 0.078)
"""Share of the rows, and click rate, of each scene."""
START_S, DAYS = 1_688_947_200, 31.4  # 2023-07-10 00:00:00
ROWS_PER_USER, ROWS_PER_ITEM = 1.5, 120
TOPIC_WORDS, ITEM_WORDS, COMMON_WORDS = 30, 4, 200
TOPICS_OF_USER = 2
MATCH = 1.3  # log-odds of an interest of the user
ITEM_SD, TOPIC_SD, USER_SD, TREND_SD, DRIFT = 0.9, 0.6, 0.5, 0.3, 0.3
BORN_LATE = 0.3  # share of the items that are new within the period
RHYTHM = np.repeat([1, 5, 6, 9, 7, 3], 4).cumsum() / 124.0
"""Share of the day's rows by the end of each hour."""
LEVELS = (8, 3, 6, 10)
"""Values of features 0 to 3, attributes of the user."""


@dataclass(frozen=True)
class Config:
    """Size and seed of a world."""

    rows: int
    seed: int = 1

    def __post_init__(self) -> None:
        if self.rows < 1000:
            raise ValueError("a planted log needs at least 1000 rows")

    @property
    def users(self) -> int:
        return int(self.rows / ROWS_PER_USER)

    @property
    def items(self) -> int:
        return max(60, self.rows // ROWS_PER_ITEM)

    @property
    def topics(self) -> int:
        return min(200, 10 + self.items // 20)

    def rng(self, draw: int) -> np.random.Generator:
        """Return a generator of its own for each draw; blocks of rows have those from 10 on."""
        return np.random.default_rng([self.seed, draw])


class World:
    """Items and users of a configuration, and the truth about clicks."""

    def __init__(self, config: Config) -> None:
        self.config = config
        rng, n, topics = config.rng(0), config.items, config.topics
        self.topic: I32 = _zipf(rng, n, topics)
        self.scene: I32 = rng.choice(len(SCENES), n, p=SHARE).astype(np.int32)
        self.scene[: len(SCENES)] = range(len(SCENES))
        late = rng.random(n) < BORN_LATE
        late[: len(SCENES)] = False
        self.birth: F64 = np.where(late, rng.random(n) * DAYS, -1.0)
        popularity = (rng.permutation(n) + 5.0) ** -0.9
        total = np.bincount(self.scene, popularity, len(SCENES))
        popularity *= (np.array(SHARE) / total)[self.scene]
        self.cdf: F64 = popularity.cumsum() / popularity.sum()
        quality = rng.normal(0, TOPIC_SD, topics)[self.topic]
        self.effect: F64 = quality + rng.normal(0, ITEM_SD, n)
        self.trend: F64 = rng.normal(0, TREND_SD, n)
        self.price: F64 = rng.lognormal(3, 1, n)
        self.words: I32 = rng.integers(0, TOPIC_WORDS, (n, ITEM_WORDS)).astype(np.int32)
        self.words += self.topic[:, None] * TOPIC_WORDS
        self.provider: I32 = rng.integers(0, max(2, n // 20), n).astype(np.int32)
        self.raw_item: I64 = rng.permutation(np.arange(n) * 7 + 1000)
        self.draw_users()
        self.levels = [rng.normal(0, 0.25, (len(SCENES), size)) for size in LEVELS]
        self.phase: F64 = rng.random(len(SCENES)) * 2 * np.pi

    def draw_users(self) -> None:
        """Draw interests, effects and attributes of the users."""
        rng, n = self.config.rng(1), self.config.users
        self.interest: I32 = _zipf(rng, (n, TOPICS_OF_USER), self.config.topics)
        self.liking: F32 = rng.normal(0, USER_SD, n).astype(np.float32)
        self.attribute = [rng.integers(0, size, n).astype(np.int8) for size in LEVELS]

    @cached_property
    def vocabulary(self) -> pl.Series:
        """Words of two Chinese characters: those of each topic, then common ones."""
        rng, count = self.config.rng(2), self.config.topics * TOPIC_WORDS + COMMON_WORDS
        pairs = rng.choice(3000**2, count, replace=False)
        return pl.Series([chr(0x4E00 + p // 3000) + chr(0x4E00 + p % 3000) for p in pairs])

    @cached_property
    def bias(self) -> F64:
        """Log-odds of each scene that give its click rate."""
        rng, n = self.config.rng(3), 40_000
        day, user = rng.random(n) * DAYS, rng.integers(0, self.config.users, n)
        item = self.draw_items(rng, day)
        rest = self.log_odds(day, user, item, self.position(rng, n))
        bias = np.zeros(len(SCENES))
        for scene, rate in enumerate(RATE):
            own, low, high = rest[self.scene[item] == scene], -12.0, 12.0
            for _ in range(40):
                middle = (low + high) / 2
                mean = (1 / (1 + np.exp(-own - middle))).mean() if own.size else 0.5
                low, high = (middle, high) if mean < rate else (low, middle)
            bias[scene] = low
        return bias

    def draw_items(self, rng: np.random.Generator, day: F64) -> I64:
        """Draw an item that is there on each day, by popularity."""
        item = np.searchsorted(self.cdf, rng.random(day.size))
        for _ in range(12):
            early = self.birth[item] > day
            item[early] = np.searchsorted(self.cdf, rng.random(int(early.sum())))
        return np.where(self.birth[item] > day, self.scene[item], item)

    def position(self, rng: np.random.Generator, rows: int) -> I64:
        """Draw feature 7, the place on the page."""
        return rng.integers(0, 5, rows)

    def matches(self, user: I64, item: I64) -> Mask:
        """Return whether the topic of the item is an interest of the user."""
        return (self.interest[user] == self.topic[item][:, None]).any(axis=1)

    def log_odds(self, day: F64, user: I64, item: I64, position: I64) -> F64:
        """Compute the log-odds of clicks, but for the bias of the scene."""
        scene = self.scene[item]
        odds = self.effect[item] + self.trend[item] * (day / DAYS - 0.5)
        odds += self.liking[user] + MATCH * self.matches(user, item) - 0.15 * position
        odds += DRIFT * np.sin(2 * np.pi * day / 14 + self.phase[scene])
        odds -= 0.2 * (np.log(self.price[item]) - 3)
        for effect, attribute in zip(self.levels, self.attribute, strict=True):
            odds += effect[scene, attribute[user]]
        return odds


def _zipf(rng: np.random.Generator, shape: int | tuple[int, ...], n: int) -> I32:
    """Draw numbers below n, the lower the more often."""
    weight = (np.arange(n) + 3.0) ** -0.7
    return rng.choice(n, shape, p=weight / weight.sum()).astype(np.int32)
