"""A made-up shop with sessions of OTTO's raw format and shape: demo data, benchmarks at full size.

    python -m src.simulate --sessions 100000 --out input/demo

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
from math import cos, erfc, exp, log, pi, sqrt
from pathlib import Path
from typing import NamedTuple

import numba as nb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.events import F32, F64, I8, I32, I64
from src.store import replace

U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

TYPES = ("clicks", "carts", "orders")
CLICK, CART, ORDER = range(3)
BIRTH, PEAK, FADE = range(3)
START_MS = 1_659_304_800_000  # OTTO's first midnight in Berlin, in ms since 1970
DAY_MS = 86_400_000
PAUSE_MS = 1_800_000  # longest gap inside a visit
LONGEST = 500  # events of a session, as in OTTO

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

# How people behave, tuned until shape and recalls are near OTTO's; tests/test_simulate.py says how
# near. Pairs are mu and sigma of a log-normal.
AGAIN, BACK, NEXT, VARIANT, JUMP = 0.04, 0.22, 0.44, 0.50, 0.60  # cumulative; else by topic
COMPLEMENT = 0.6  # after a cart, in place of NEXT
RESUME = 0.5  # chance that a return visit begins with an item seen before
LINKS, FIRST_COMPLEMENT = 8, 7  # of each item; complements are in the next community
LINK_BIAS = 2.0  # 1: links lead to any item; more: to popular ones
SPREAD = 1.9  # sigma of the items' popularity inside a community
GAP = (10.6, 1.1)  # ms between two events of a visit
VISIT = (1.15, 1.06)  # clicks of a visit
PACE = (3.65, 1.75)  # a person's mean days between visits
TO_CART, KEEN = 0.115, 1.2  # chance that a click fills the cart; sigma of it between people
TO_ORDER, FORGET = 0.19, 0.4  # chances that a visit ends in an order; else in giving up the cart
BLIND_CART, AT_ONCE = 0.02, 0.07  # chances: a session starts with a cart; an order lacks its cart
RHYTHM = np.repeat([2, 12, 24, 26, 33, 40, 22], [6, 3, 4, 4, 3, 2, 2]).cumsum() / 488.0
"""Share of the day's visits begun by the end of each hour: quiet nights, busy evenings."""


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


class Shop(NamedTuple):
    """Tables; an item's slot is its community's first plus its rank by popularity there."""

    seed: int
    first: I64  # slot of each community, and the number of slots
    community: I32  # of each slot
    cdf: F64  # popularity of the communities
    trend: F32  # 3 x slots: BIRTH, PEAK (-inf: sells steadily), FADE to 1/e; all in days
    aid: I32  # public id of each slot
    allowed: Bool  # slots on sale: in test only the items of train, as in OTTO


class Row(NamedTuple):
    """One session while it is written."""

    slot: I64
    ts: I64  # ms since the start of train
    type: I8
    end: int  # all events are before


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


@nb.njit(cache=True)
def _mix(z: np.uint64) -> np.uint64:
    """Finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@nb.njit(cache=True)
def _hash(seed: int, a: int, b: int) -> np.uint64:
    z = _mix(np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15))
    return _mix(_mix(z ^ np.uint64(a)) + np.uint64(b) * np.uint64(0x9E3779B97F4A7C15))


@nb.njit(cache=True)
def _unit(state: U64) -> float:
    """Next number in [0, 1) of a stream."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    return (_mix(state[0]) >> np.uint64(11)) * 2.0**-53


@nb.njit(cache=True)
def _normal(state: U64) -> float:
    return sqrt(-2 * log(1 - _unit(state))) * cos(2 * pi * _unit(state))


@nb.njit(cache=True)
def _log_normal(of: tuple[float, float], state: U64) -> float:
    return exp(of[0] + of[1] * _normal(state))


@nb.njit(cache=True)
def _back(n: int, mean: float, state: U64) -> int:
    """Index of an earlier one of n events, `mean` steps back on average."""
    return max(0, n - 1 - int(-mean * log(1 - _unit(state))))


@nb.njit(cache=True)
def _community(shop: Shop, state: U64) -> int:
    return int(np.searchsorted(shop.cdf, _unit(state)))


@nb.njit(cache=True)
def _on_sale(shop: Shop, slot: int, day: float) -> bool:
    return shop.allowed[slot] and day >= shop.trend[BIRTH, slot]


@nb.njit(cache=True)
def _accepts(shop: Shop, slot: int, day: float, state: U64) -> bool:
    """Whether someone led to an item takes it: items come, trend and fade."""
    heat = 0.5 if np.isinf(shop.trend[PEAK, slot]) else 0.06
    if heat < 0.5 and day >= shop.trend[PEAK, slot]:
        heat += exp((shop.trend[PEAK, slot] - day) / shop.trend[FADE, slot])
    return _on_sale(shop, slot, day) and _unit(state) < heat


@nb.njit(cache=True)
def _popular(shop: Shop, c: int, day: float, state: U64) -> int:
    """An item of a community, drawn by popularity (log-normal over its ranks) and trend."""
    slot = shop.first[c]
    for _ in range(30):
        share = 0.5 * erfc((SPREAD + _normal(state)) / sqrt(2.0))
        slot = shop.first[c] + int(share * (shop.first[c + 1] - shop.first[c]))
        if _accepts(shop, slot, day, state):
            return slot
    while not _on_sale(shop, slot, day):
        slot = (slot + 1) % shop.aid.size
    return slot


@nb.njit(cache=True)
def _linked(shop: Shop, slot: int, link: int) -> int:
    """Where an item leads to: LINKS directed links; the last are complements."""
    c = (shop.community[slot] + (link >= FIRST_COMPLEMENT)) % shop.cdf.size
    unit = (_hash(shop.seed, slot, link) >> np.uint64(11)) * 2.0**-53
    return shop.first[c] + int((shop.first[c + 1] - shop.first[c]) * unit**LINK_BIAS)


@nb.njit(cache=True)
def _variant(shop: Shop, slot: int, state: U64) -> int:
    """One of the eight or so items of the same family, which has popular and rare ones."""
    first, end = shop.first[shop.community[slot]], shop.first[shop.community[slot] + 1]
    families = max(1, (end - first) // 8)
    return min(end - 1, first + (slot - first) % families + families * int(8 * _unit(state)))


@nb.njit(cache=True)
def _next_item(shop: Shop, row: Row, n: int, topic: int, day: float, state: U64) -> int:
    """Where someone goes inside a visit, after n > 0 events of the session."""
    u, last = _unit(state), row.slot[n - 1]
    if u < AGAIN:
        return last
    if u < BACK:
        return row.slot[_back(max(1, n - 1), 4.0, state)]
    if u < VARIANT or (row.type[n - 1] == CART and u < COMPLEMENT):
        to = _variant(shop, last, state)
        if row.type[n - 1] == CART:
            to = _linked(shop, last, FIRST_COMPLEMENT)
        elif u < NEXT:
            to = _linked(shop, last, int(LINKS * _unit(state) ** 2))
        if _accepts(shop, to, day, state):
            return to
    elif u < JUMP:
        topic = _community(shop, state)
    return _popular(shop, topic, day, state)


@nb.njit(cache=True)
def _next_visit(t: int, pace: float, state: U64) -> int:
    """Time of the next visit: `pace` days later on average; its hour follows the rhythm."""
    t += PAUSE_MS
    then = t - pace * log(1 - _unit(state)) * DAY_MS
    if then - t > DAY_MS / 4:
        hour = np.searchsorted(RHYTHM, _unit(state), "right") + _unit(state)
        then = (then // DAY_MS + hour / 24) * DAY_MS
    return int(then) if then > t else int(then) + DAY_MS


@nb.njit(cache=True)
def _add(row: Row, n: int, slot: int, t: int, type: int) -> int:
    """Append an event if there is room and time left; the number of events then."""
    if n < LONGEST and t < row.end:
        row.slot[n], row.ts[n], row.type[n] = slot, t, type
        n += 1
    return n


@nb.njit(cache=True)
def _session(shop: Shop, row: Row, session: int, t: int) -> tuple[int, int]:
    """One person's events from ms t on: how many, and how many of them are before the cut."""
    state = np.array([_hash(shop.seed, session, -1)], np.uint64)
    homes = (_community(shop, state), _community(shop, state), _community(shop, state))
    pace = _log_normal(PACE, state)
    to_cart = TO_CART * _log_normal((-KEEN * KEEN / 2, KEEN), state)
    cart = np.empty(LONGEST, np.int64)
    n = full = 0
    while n < LONGEST and t < row.end:
        day, topic = t / DAY_MS, homes[int(3 * _unit(state) ** 2)]
        clicks = max(1 + (n == 0), int(_log_normal(VISIT, state)))
        for k in range(clicks):
            if k:
                slot = _next_item(shop, row, n, topic, day, state)
            elif n and _unit(state) < RESUME:
                slot = row.slot[_back(n, 5.0, state)]
            else:
                slot = _popular(shop, topic, day, state)
            blind = n == 0 and _unit(state) < BLIND_CART
            n = _add(row, n, slot, t, CART if blind else CLICK)
            t += min(PAUSE_MS, int(_log_normal(GAP, state)))
            if (blind or _unit(state) < to_cart) and full < LONGEST and slot not in cart[:full]:
                cart[full] = slot
                full += 1
                if not blind and _unit(state) >= AT_ONCE:
                    n = _add(row, n, slot, t, CART)
                    t += min(PAUSE_MS, int(_log_normal(GAP, state)))
        if full and _unit(state) < TO_ORDER:
            for k in range(full):
                n = _add(row, n, cart[k], t, ORDER)
            full = 0
        full *= _unit(state) >= FORGET
        t = _next_visit(t, pace, state)
    return n, 1 + int((n - 1) * _unit(state))


@nb.njit(cache=True)
def _fill(shop: Shop, rows: Row, first: int, start: I64, length: I64, cut: I64) -> None:
    """One session a row, the first with id `first`."""
    for i in range(start.size):
        row = Row(rows.slot[i], rows.ts[i], rows.type[i], rows.end)
        length[i], cut[i] = _session(shop, row, first + i, start[i])


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
            _fill(shop, Row(slots, times, types, end), first, start, length, cut)
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
    """The shape of a world beside OTTO's: columns statistic, simulated, otto.

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
    rows = [(name, float(values[name]), otto) for name, otto in OTTO_STATISTICS.items()]
    return pl.DataFrame(rows, ("statistic", "simulated", "otto"), orient="row")


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
