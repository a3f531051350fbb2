"""Planted logs of clicks with new items, whose texts tell of them, more or less."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from src.core.arrays import F64, I64

ROWS, TEXT = 40_000, 16
TEXTS = [f"text_{n}" for n in range(TEXT)]
LEVELS = {"zero": (0, 1), "few": (1, 5), "warm": (5, ROWS)}
"""Earlier rows of the item, from and until."""


class World(NamedTuple):
    """What texts tell, and how many rows of new items there are to learn from."""

    of_text: tuple[float, ...]  # share of the variance of an appeal, by level
    kept: float = 1.0  # share of the train rows below the level warm


WORLDS = {
    "new items are rare in training": World((0.5, 0.5, 0.5), 0.03),
    "texts are noise": World((0.0, 0.0, 0.0)),
    "new items are common": World((0.5, 0.5, 0.5)),
    "texts tell of new items only": World((1.0, 0.5, 0.0)),
}
GROUPS = 2  # of users; an item appeals to each in its own way
LIFE = 0.3  # mean time from the arrival of an id to a row of it, as a share of the log
TRAIN, STOP = 0.65, 0.75  # ends of the parts, as shares of the rows


class Log(NamedTuple):
    """A planted log: features by name, and of each row its label, item, level and part."""

    columns: dict[str, F64]
    label: F64
    item: I64
    level: I64
    part: I64  # 0 to learn from, 1 to stop, 2 to score; ascending


def as_of(key: I64, label: F64) -> tuple[F64, F64]:
    """Count the earlier rows of each row's key, and compute their click rate, missing if none."""
    order = np.argsort(key, kind="stable")
    first = np.searchsorted(key[order], key[order])
    before = np.cumsum(label[order]) - label[order]
    count, clicks = np.empty(key.size), np.empty(key.size)
    count[order], clicks[order] = np.arange(key.size) - first, before - before[first]
    with np.errstate(invalid="ignore"):
        return count, clicks / count


def arrivals(rng: np.random.Generator, rows: int) -> I64:
    """Draw ids in time order: each arrives at some time, and comes back a few times or often."""
    times = 1 + np.minimum(rng.pareto(0.7, rows), 1000).astype(int)
    ids = np.repeat(np.arange(rows), times)
    at = rng.random(rows)[ids] + rng.exponential(LIFE, ids.size)
    chosen = np.sort(rng.permutation(np.flatnonzero(at < 1))[: 4 * rows])
    return ids[chosen[np.argsort(at[chosen], kind="stable")]][:rows]


def planted_log(world: World, seed: int, rows: int = ROWS) -> Log:
    """Draw a log; the first rows are those to learn from."""
    rng = np.random.default_rng(seed)
    item, user = arrivals(rng, rows), arrivals(rng, rows)
    text, taste = rng.normal(size=(rows, TEXT)), 0.7 * rng.normal(size=rows)
    own, group = rng.normal(size=(rows, GROUPS)), rng.integers(0, GROUPS, rows)
    told = (text[:, 0] * text[:, 1] + text[:, 2] + text[:, 3]) / 3**0.5
    count, _ = as_of(item, np.zeros(rows))
    level = np.digitize(count, [end for _, end in LEVELS.values()][:-1])
    share = np.array(world.of_text)[level]
    appeal = share**0.5 * told[item] + (1 - share) ** 0.5 * own[item, group[user]]
    text[rng.random(rows) < 0.1] = np.nan
    logit = 2 * appeal + taste[user]
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    columns: dict[str, F64] = {}
    for name, key in (("user", user), ("item", item)):
        columns[f"{name}_count"], columns[f"{name}_rate"] = as_of(key, label)
    columns |= dict(zip(TEXTS, text[item].T, strict=True))
    columns["group"] = group[user].astype(float)
    cold = (level < 2) & (np.arange(rows) < STOP * rows)
    kept = ~cold | (rng.random(rows) < world.kept)
    part = np.digitize(np.arange(rows), [TRAIN * rows, STOP * rows])
    columns = {name: values[kept] for name, values in columns.items()}
    return Log(columns, label[kept], item[kept], level[kept], part[kept])
