"""A made-up shop with sessions of OTTO's raw format and shape: demo data, benchmarks at full size.

    python -m src.datasets.demo.simulate --sessions 100000 --out input/demo

A session is one person: visits days apart, each about one community of items. The next item is the
last one's successor, a variant of it, one seen before, or whatever is popular there that day; a
click may lead to a cart, a cart to a complement of the item and to an order. Every session has a
random stream of its own, so the size of the blocks changes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import I64
from src.core.store import replace
from src.datasets.demo.simulate_kernel import DAY_MS, LONGEST, PAUSE_MS, RHYTHM, Row, Shop, fill

TYPES = ("clicks", "carts", "orders")
START_MS = 1_659_304_800_000  # OTTO's first midnight in Berlin, in ms since 1970

OTTO_STATISTICS = {
    "events per session: mean": 16.80,
    "events per session: median": 6.0,
    "events per session: p90": 39.0,
    "events per session: max": 500.0,
    "events per item: mean": 116.79,
    "events per item: median": 20.0,
    "events per item: p90": 183.0,
    "events per item: max": 129_004.0,
    "share of clicks": 0.8985,
    "share of carts": 0.0780,
    "share of orders": 0.0235,
    "share of revisits": None,
    "full test session: mean": 8.29,
    "full test session: median": 4.0,
    "full test session: p90": 18.0,
    "visible test session: median": 2.0,
}
"""Published by the organisers (the last one by a participant); of train unless they say test.

Revisits are events on an item the session had before. The maximum per item grows with the size.
"""


@dataclass(frozen=True)
class World:
    """The dials of a shop."""

    sessions: int  # of train; test has OTTO's share more
    items: int
    days: int = 28  # of train
    test_days: int = 7  # right after
    community_items: int = 400  # mean items of a community
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sessions < 10 or self.items < 100:
            raise ValueError("a simulated world needs at least 10 sessions and 100 items")

    @classmethod
    def like_otto(cls, sessions: int, seed: int = 0) -> World:
        """As many sessions per item as OTTO has, so that events per item compare."""
        return cls(sessions, max(100, round(sessions * 1_855_603 / 12_899_779)), seed=seed)

    @property
    def test_sessions(self) -> int:
        return round(self.sessions * 1_671_803 / 12_899_779)


def open_shop(world: World) -> Shop:
    """Draw the tables: Zipf communities; a fifth of the items is born during train."""
    rng = np.random.default_rng([world.seed, 0])
    n, days = world.items, world.days
    popularity = (np.arange(max(3, n // world.community_items)) + 10.0) ** -0.9
    share = np.cumsum(popularity**0.5)
    first = np.concatenate([[0], np.round(share / share[-1] * n)]).astype(np.int64)
    community = np.repeat(np.arange(popularity.size, dtype=np.int32), np.diff(first))
    birth = days * (1 - 5 * rng.random(n))
    peak = np.where(birth > 0, birth, rng.uniform(-7, days + world.test_days, n))
    peak[rng.random(n) < 0.6] = -np.inf
    trends = np.array([birth, peak, rng.uniform(1, 6, n)], np.float32)
    aid = rng.permutation(n).astype(np.int32)
    cdf = np.cumsum(popularity) / popularity.sum()
    return Shop(world.seed, first, community, cdf, trends, aid, np.ones(n, np.bool_))


def first_events(world: World, test: bool) -> I64:
    """Sorted times of the sessions' first events, in ms since the start of train.

    Half the people of train are regulars, met in its first days; the others come evenly.
    """
    rng = np.random.default_rng([world.seed, 1 + test])
    n, days = (world.test_sessions, world.test_days) if test else (world.sessions, world.days)
    day = rng.random(n) * days
    if not test:
        day = np.where(rng.random(n) < 0.5, rng.exponential(6.0, n) % days, day)
    hour = np.searchsorted(RHYTHM, rng.random(n), side="right") + rng.random(n)
    ms = (np.floor(day) + hour / 24) * DAY_MS
    # half an hour stays free, so that there is time for a second event
    last = days * DAY_MS - PAUSE_MS - 1
    return np.sort(np.minimum(ms.astype(np.int64), last)) + test * world.days * DAY_MS


def simulate(world: World, rows: int = 8192) -> Iterator[tuple[bool, pl.DataFrame]]:
    """Events of `rows` sessions at a time, in order, and whether they are of test.

    Columns: session, aid, ts (ms since 1970), type (index into TYPES), hidden (after the cut).
    """
    shop, sold = open_shop(world), np.zeros(world.items, np.bool_)
    slots, times = np.empty((2, rows, LONGEST), np.int64)
    types = np.empty((rows, LONGEST), np.int8)
    length, cut = np.empty(rows, np.int64), np.empty(rows, np.int64)
    for test in (False, True):
        starts = first_events(world, test)
        end = (world.days + test * world.test_days) * DAY_MS
        for at in range(0, starts.size, rows):
            start, first = starts[at : at + rows], at + test * world.sessions
            fill(shop, Row(slots, times, types, end), first, start, length, cut)
            of, step = _positions(length[: start.size])
            slot, ts, hidden = slots[of, step], times[of, step] + START_MS, step >= cut[of]
            sold[slot] = True
            columns = {"session": of + first, "aid": shop.aid[slot], "ts": ts}
            yield test, pl.DataFrame({**columns, "type": types[of, step], "hidden": test & hidden})
        shop = shop._replace(allowed=sold)


def _positions(length: I64) -> tuple[I64, I64]:
    """Row and column of every event."""
    of = np.repeat(np.arange(length.size), length)
    return of, np.arange(of.size) - np.repeat(length.cumsum() - length, length)


def _lines(events: pl.DataFrame) -> pl.DataFrame:
    """Events as one row a session; its ndjson is the raw format."""
    names = pl.lit(pl.Series(TYPES)).gather(pl.col("type")).alias("type")
    event = pl.struct("aid", "ts", names).alias("events")
    return events.group_by("session", maintain_order=True).agg(event)


def _label_lines(hidden: pl.DataFrame) -> pl.DataFrame:
    """What each session does after the cut, one JSON text a row; types with nothing are absent."""
    clicks, carts, orders = (pl.col("aid").filter(pl.col("type") == t) for t in range(3))
    labels = [pl.lit('"clicks":') + clicks.first().cast(pl.String)]
    for name, aids in (("carts", carts), ("orders", orders)):
        some = pl.lit(f'"{name}":[') + aids.unique().sort().cast(pl.String).str.join(",") + "]"
        labels.append(pl.when(aids.len() > 0).then(some))
    sessions = hidden.group_by("session", maintain_order=True)
    texts = sessions.agg(label.alias(name) for name, label in zip(TYPES, labels, strict=True))
    inner = pl.concat_str(TYPES, separator=",", ignore_nulls=True)
    return texts.select(
        pl.concat_str(pl.lit('{"session":'), "session", pl.lit(',"labels":{'), inner, pl.lit("}}"))
    )


def write(world: World, folder: Path) -> None:
    """Write train.jsonl, test.jsonl (cut at random) and test_labels.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("train.jsonl", "test.jsonl", "test_labels.jsonl")
    parts = [folder / f".part-{name}" for name in names]
    with ExitStack() as stack:
        train, truncated, labels = (stack.enter_context(open(part, "wb")) for part in parts)
        for test, events in simulate(world):
            seen = events.filter(~pl.col("hidden"))
            _lines(seen).write_ndjson(truncated if test else train)
            if test:
                lines = _label_lines(events.filter("hidden"))
                lines.write_csv(labels, include_header=False, quote_style="never")
    for part, name in zip(parts, names, strict=True):
        replace(part, folder / name)


def statistics(world: World) -> pl.DataFrame:
    """The shape of a world beside OTTO's: columns statistic, simulated, published.

    Made from the simulation, not from its files, which lack the full test sessions.
    """
    sessions, per_item, revisits = [], np.zeros(world.items, np.int64), 0
    for test, events in simulate(world):
        counts = [pl.col("type").eq(t).sum().alias(name) for t, name in enumerate(TYPES)]
        counts += [pl.len().alias("events"), pl.col("hidden").not_().sum().alias("visible")]
        sessions.append(events.group_by("session").agg(*counts).with_columns(test=test))
        if not test:
            per_item += np.bincount(events["aid"], minlength=world.items)
            revisits += events.height - events.select("session", "aid").n_unique()
    train, test_sessions = pl.concat(sessions).partition_by("test", maintain_order=True)
    total = per_item.sum()
    values = {
        **_shape("events per session", train["events"]),
        **_shape("events per item", pl.Series(per_item)),
        **{f"share of {name}": train[name].sum() / total for name in TYPES},
        "share of revisits": revisits / total,
        **_shape("full test session", test_sessions["events"]),
        **_shape("visible test session", test_sessions["visible"]),
    }
    rows = [(name, float(values[name]), known) for name, known in OTTO_STATISTICS.items()]
    return pl.DataFrame(rows, ("statistic", "simulated", "published"), orient="row")


def _shape(name: str, counts: pl.Series) -> dict[str, float]:
    array = counts.to_numpy()
    values = [array.mean(), *np.quantile(array, (0.5, 0.9, 1.0), method="nearest")]
    return {
        f"{name}: {q}": v for q, v in zip(("mean", "median", "p90", "max"), values, strict=True)
    }


def main() -> None:
    """Write a world and print its shape."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, required=True, help="sessions of train")
    parser.add_argument("--items", type=int, help="default: as many per session as OTTO has")
    parser.add_argument("--out", type=Path, required=True, help="folder for the three files")
    args = parser.parse_args()
    world = World.like_otto(args.sessions)
    if args.items:
        world = World(args.sessions, args.items)
    write(world, args.out)
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(statistics(world))


if __name__ == "__main__":
    main()
