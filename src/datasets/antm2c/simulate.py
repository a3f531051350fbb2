"""Simulate a log in AntM2C's form: for the demo, and for measurements at any size. It is synthetic.

    python -m src.datasets.antm2c.simulate --rows 100000 --out input/antm2c-demo

Rows come in the order of time, in three files. Half of the times have minutes only; some titles
hold commas, quotes and line breaks; some rows are bad. The last table has the truth: the AUC of the
probabilities that the clicks were drawn from.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from src.core.arrays import F64, I64, Mask
from src.core.console import show
from src.core.store import replace
from src.data.units import DAY
from src.datasets.antm2c.columns import (
    BILL,
    COLUMNS,
    ENTITIES,
    ITEM,
    LABEL,
    NUMBERS,
    QUERY,
    SCENE,
    SERVICE,
    TIME,
    TITLE,
    USER,
)  # fmt: skip
from src.datasets.antm2c.world import (
    COMMON_WORDS,
    DAYS,
    RHYTHM,
    SCENES,
    START_S,
    TOPIC_WORDS,
    Config,
    World,
)

FILES = tuple(f"antm2c_demo_part{n}.csv" for n in range(3))
BLOCK = 50_000  # rows drawn at a time
MISSING, BAD = 0.03, 0.0005  # shares: of the features that are empty; of the rows that are bad
SHORT_LINE = "1,2,3\n"
"""A row with too few fields; each block ends with one."""
LONGEST = 5  # words of a text of a user, at most
COLD = 5
"""An item with fewer rows in the time of training is cold."""


class Rows(NamedTuple):
    """Some rows in the order of time: of each its time, user, item, place, truth and click."""

    ts: I64
    user: I64
    item: I64
    position: I64
    probability: F64
    click: Mask

    @property
    def day(self) -> F64:
        """Days since the start."""
        return (self.ts - START_S) / DAY


def block_rows(config: Config) -> int:
    """Return the rows of a block: BLOCK, or fewer so that no file is empty."""
    return min(BLOCK, -(-config.rows // len(FILES)))


def draw(world: World) -> Iterator[Rows]:
    """Yield all rows in blocks, which have random numbers of their own."""
    total, size = world.config.rows, block_rows(world.config)
    for number, first in enumerate(range(0, total, size)):
        rng, n = world.config.rng(10 + number), min(size, total - first)
        share = np.sort(first + rng.random(n) * n) / total * DAYS
        hour = np.interp(share % 1, np.append(0, RHYTHM), np.arange(25))
        day = np.floor(share) + hour / 24
        user = (world.config.users * rng.random(n) ** 1.3).astype(np.int64)
        item, position = world.draw_items(rng, day), world.position(rng, n)
        odds = world.log_odds(day, user, item, position) + world.bias[world.scene[item]]
        probability = 1 / (1 + np.exp(-odds))
        ts = START_S + np.floor(day * DAY).astype(np.int64)
        yield Rows(ts, user, item, position, probability, rng.random(n) < probability)


def table(world: World, rows: Rows, rng: np.random.Generator) -> pl.DataFrame:
    """Write the rows as columns of a raw file, all of text."""
    user, item, scene = rows.user, rows.item, world.scene[rows.item]
    columns: dict[str, pl.Series] = {
        USER: _text(user * 3 + 10), ITEM: _text(world.raw_item[item]), TIME: times(rng, rows.ts),
        LABEL: _text(rows.click.astype(np.int8)), SCENE: pl.Series(SCENES)[scene],
        **texts(world, rows, rng),
    }  # fmt: skip
    for number, values in enumerate(features(world, rows, rng)):
        some = rng.random(user.size) >= MISSING
        name = f"deep_features_{number}"
        column = _text(np.round(values, 4) if name in NUMBERS else values.astype(np.int64))
        columns[name] = pl.select(pl.when(pl.Series(some)).then(column)).to_series()
    frame = pl.DataFrame(columns).select(COLUMNS)
    fault = pl.Series(np.where(rng.random(user.size) < BAD, rng.integers(1, 4, user.size), 0))
    return frame.with_columns(
        pl.when(fault == 1).then(pl.lit("2023-02-30 25:00:00")).otherwise(TIME).alias(TIME),
        pl.when(fault == 2).then(pl.lit("maybe")).otherwise(LABEL).alias(LABEL),
        pl.when(fault != 3).then(USER).alias(USER),
    )


def _text(values: NDArray) -> pl.Series:
    return pl.Series(values).cast(pl.String)


def times(rng: np.random.Generator, ts: I64) -> pl.Series:
    """Write times: half of them with minutes only."""
    time, minutes = pl.from_epoch(pl.Series(ts)), pl.Series(rng.random(ts.size) < 0.5)
    short = time.dt.strftime("%Y/%-m/%-d %-H:%M")
    return pl.select(
        pl.when(minutes).then(short).otherwise(time.dt.strftime("%Y-%m-%d %H:%M:%S"))
    ).to_series()


def texts(world: World, rows: Rows, rng: np.random.Generator) -> dict[str, pl.Series]:
    """Draw the texts: words of the user's interests, and those of the item."""
    found = {}
    for name, often in ((BILL, 0.6), (SERVICE, 0.8), (QUERY, 0.3)):
        size = (rows.user.size, LONGEST)
        topic = world.interest[rows.user[:, None], rng.integers(0, 2, size)]
        count = np.where(rng.random(size[0]) < often, rng.integers(1, LONGEST + 1, size[0]), 0)
        word = topic * TOPIC_WORDS + rng.integers(0, TOPIC_WORDS, size)
        word[rng.random(size) < 0.2] = rng.integers(0, world.vocabulary.len())
        word[np.arange(LONGEST) >= count[:, None]] = -1
        found[name] = joined(world, word, ",")
    own = world.words[rows.item].astype(np.int64)
    seldom = rng.random(rows.item.size) < 0.02  # the entities of an item vary
    own[seldom, 0] = rng.integers(0, world.vocabulary.len(), int(seldom.sum()))
    found[ENTITIES] = joined(world, own, ",")
    common = world.vocabulary.len() - 1 - rows.item[:, None] % COMMON_WORDS
    title = joined(world, np.hstack([common, world.words[rows.item, :3]]), "")
    odd = pl.Series(rows.item % 50)
    found[TITLE] = pl.select(
        pl.when(odd == 0).then(title + "，新,“好”").when(odd == 1).then(title + "\n\"特\"")
        .when(odd != 2).then(title)
    ).to_series()  # fmt: skip
    return found


def joined(world: World, word: I64, separator: str) -> pl.Series:
    """Join the words of each row; -1 is none. Null where a row has no word."""
    parts = [
        world.vocabulary.gather(pl.select(pl.when(column >= 0).then(column)).to_series())
        for column in (pl.Series(word[:, n]) for n in range(word.shape[1]))
    ]
    text = pl.select(pl.concat_str(parts, separator=separator, ignore_nulls=True)).to_series()
    return text.replace("", None)


def features(world: World, rows: Rows, rng: np.random.Generator) -> Iterator[NDArray]:
    """Yield the anonymous features: of the user, of the item, of the page, and noise."""
    user, item, n = rows.user, rows.item, rows.user.size
    yield from (attribute[user] for attribute in world.attribute)  # 0 to 3
    yield world.topic[item] // 3
    yield world.scene[item] * 2 + rng.integers(0, 2, n)
    yield world.provider[item]
    yield rows.position  # 7
    for values in (3, 12, 40, 300, 5, 2):  # 8 to 13
        yield rng.integers(0, values, n)
    yield world.price[item]  # 14
    for values in (4, 7, 24, 60):
        yield rng.integers(0, values, n)
    yield world.liking[user] + rng.normal(0, 1.0, n)  # 19
    yield np.ones(n)
    yield world.effect[item] + rng.normal(0, 1.5, n)
    for _ in range(5):
        yield rng.lognormal(0, 1, n)  # 22 to 26


class Truth:
    """Collects rows, clicks and probabilities after the public end of validation."""

    def __init__(self, world: World, train_end: int, test: int) -> None:
        self.world, self.train_end, self.test = world, train_end, test
        self.shown = np.zeros(world.config.items, np.int64)
        self.parts: list[tuple[I64, F64, Mask]] = []

    def add(self, rows: Rows) -> None:
        """Count the rows of training; keep those of the test."""
        known = rows.item[rows.ts <= self.train_end]
        self.shown += np.bincount(known, minlength=self.shown.size)
        late = rows.ts > self.test
        self.parts.append((rows.item[late], rows.probability[late], rows.click[late]))

    def table(self) -> pl.DataFrame:
        """Score the true probabilities: of all rows, of each scene, of cold and other items."""
        item, truth, click = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        scene, cold = self.world.scene[item], self.shown[item] < COLD
        masks = {"all": np.ones(item.size, np.bool_)}
        masks |= {f"scene {name}": scene == n for n, name in enumerate(SCENES)}
        masks |= {"cold items": cold, "other items": ~cold}
        return pl.DataFrame([
            {"test rows": name, "rows": int(mask.sum()), "clicks": int(click[mask].sum()),
             **_scores(click[mask], truth[mask])}
            for name, mask in masks.items()
        ])  # fmt: skip


def _scores(click: Mask, truth: F64) -> dict[str, float | None]:
    if np.unique(click).size < 2:
        return {"oracle AUC": None, "oracle log loss": None}
    auc, loss = float(roc_auc_score(click, truth)), float(log_loss(click, truth))
    return {"oracle AUC": auc, "oracle log loss": loss}


def write(config: Config, folder: Path) -> pl.DataFrame:
    """Write the files; return the table of the truth."""
    world = World(config)
    truth = Truth(world, *(end + START_S for end in (24 * DAY, 26 * DAY)))
    folder.mkdir(parents=True, exist_ok=True)
    parts = [folder / f".part-{name}" for name in FILES]
    blocks = -(-config.rows // block_rows(config))
    for part in parts:
        part.write_text(",".join(COLUMNS) + "\n")
    for number, rows in enumerate(draw(world)):
        truth.add(rows)
        frame = table(world, rows, config.rng(10 + blocks + number))
        with open(parts[number * len(parts) // blocks], "ab") as file:
            frame.write_csv(file, include_header=False)
            file.write(SHORT_LINE.encode())
    for part, name in zip(parts, FILES, strict=True):
        replace(part, folder / name)
    return truth.table()


def main() -> None:
    """Write a log and print its truth."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, required=True, help="rows of all files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    args = parser.parse_args()
    show(write(Config(args.rows, args.seed), args.out))


if __name__ == "__main__":
    main()
