# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Simulate the customers of a shop, session by session (src/datasets/demo/simulate.py)."""

from __future__ import annotations

from math import cos, erfc, exp, log, pi, sqrt
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, F64, I8, I32, I64
from src.datasets.times import DAY_MS

U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

CLICK, CART, ORDER = range(3)
BIRTH, PEAK, FADE_DAYS = range(3)
PAUSE_MS = 1_800_000  # longest gap inside a visit
LONGEST = 500  # events of a session, as in OTTO

# Behaviour of customers, tuned until shape and recalls are near OTTO's; test_simulate.py holds how
# near. Pairs are mu and sigma of a log-normal distribution.
# Cumulative chances of the next item in a visit; beyond the last one, a popular item of the topic:
REPEAT = 0.04  # the last item again
REVISIT = 0.22  # an earlier item of the session
LINKED = 0.44  # an item that the last one links to
VARIANT = 0.50  # an item of the same family
OTHER_TOPIC = 0.60  # a popular item of another community
AFTER_CART = 0.6  # instead of LINKED: a complement of an item that was put into the cart
RESUME = 0.5  # chance that a later visit begins with an item of the session
LINKS, FIRST_COMPLEMENT = 8, 7  # of each item; complements are in the next community
LINK_BIAS = 2.0  # 1: links lead to any item; more: to popular ones
SPREAD = 1.9  # sigma of the items' popularity inside a community
GAP = (10.6, 1.1)  # ms between two events of a visit
VISIT = (1.15, 1.06)  # clicks of a visit
PACE = (3.65, 1.75)  # mean days between the visits of a person
TO_CART, CART_SIGMA = 0.115, 1.2  # chance of a cart after a click; its sigma between people
TO_ORDER, DROP_CART = 0.19, 0.4  # chances at the end of a visit: an order; else an emptied cart
STARTS_WITH_CART = 0.02  # chance of a session
NO_CART_EVENT = 0.07  # chance that an ordered item has no event of type cart
RHYTHM = np.repeat([2, 12, 24, 26, 33, 40, 22], [6, 3, 4, 4, 3, 2, 2]).cumsum() / 488.0
"""Share of the day's visits begun by the end of each hour: quiet nights, busy evenings."""


class Shop(NamedTuple):
    """Items by slot: the first slot of the community plus the item's rank by popularity in it."""

    seed: int
    first: I64  # slot of each community, and the number of slots
    community: I32  # of each slot
    cdf: F64  # popularity of the communities
    trend: F32  # 3 x slots, in days: BIRTH, PEAK (-inf: none), and from there to 1/e: FADE_DAYS
    aid: I32  # public id of each slot
    allowed: Bool  # slots on sale: in test only items of train, as in OTTO


class SessionBuffer(NamedTuple):
    """Events of one session, or of many: a row each."""

    slot: I64
    ts: I64  # ms since the start of train
    type: I8
    end: int  # all events are earlier


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
    """Draw a number in [0, 1)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    return (_mix(state[0]) >> np.uint64(11)) * 2.0**-53


@nb.njit(cache=True)
def _normal(state: U64) -> float:
    return sqrt(-2 * log(1 - _unit(state))) * cos(2 * pi * _unit(state))


@nb.njit(cache=True)
def _log_normal(mu_sigma: tuple[float, float], state: U64) -> float:
    return exp(mu_sigma[0] + mu_sigma[1] * _normal(state))


@nb.njit(cache=True)
def _back(n: int, mean: float, state: U64) -> int:
    """Draw an earlier one of n events, `mean` steps back on average."""
    return max(0, n - 1 - int(-mean * log(1 - _unit(state))))


@nb.njit(cache=True)
def _community(shop: Shop, state: U64) -> int:
    return int(np.searchsorted(shop.cdf, _unit(state)))


@nb.njit(cache=True)
def _on_sale(shop: Shop, slot: int, day: float) -> bool:
    return shop.allowed[slot] and day >= shop.trend[BIRTH, slot]


@nb.njit(cache=True)
def _accepts(shop: Shop, slot: int, day: float, state: U64) -> bool:
    """Draw whether a customer takes an item: one that is on sale, and the sooner near its peak."""
    heat = 0.5 if np.isinf(shop.trend[PEAK, slot]) else 0.06
    if heat < 0.5 and day >= shop.trend[PEAK, slot]:
        heat += exp((shop.trend[PEAK, slot] - day) / shop.trend[FADE_DAYS, slot])
    return _on_sale(shop, slot, day) and _unit(state) < heat


@nb.njit(cache=True)
def _popular(shop: Shop, c: int, day: float, state: U64) -> int:
    """Draw an item of a community by popularity (log-normal over its ranks) and trend."""
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
def linked(shop: Shop, slot: int, link: int) -> int:
    """Slot that a link of an item leads to; links from FIRST_COMPLEMENT on are complements."""
    c = (shop.community[slot] + (link >= FIRST_COMPLEMENT)) % shop.cdf.size
    unit = (_hash(shop.seed, slot, link) >> np.uint64(11)) * 2.0**-53
    return shop.first[c] + int((shop.first[c + 1] - shop.first[c]) * unit**LINK_BIAS)


@nb.njit(cache=True)
def _variant(shop: Shop, slot: int, state: U64) -> int:
    """Draw one of the eight or so items of the same family, which has popular and rare ones."""
    first, end = shop.first[shop.community[slot]], shop.first[shop.community[slot] + 1]
    families = max(1, (end - first) // 8)
    return min(end - 1, first + (slot - first) % families + families * int(8 * _unit(state)))


@nb.njit(cache=True)
def _next_item(shop: Shop, row: SessionBuffer, n: int, topic: int, day: float, state: U64) -> int:
    """Draw the next item inside a visit, after n > 0 events of the session."""
    u, last = _unit(state), row.slot[n - 1]
    if u < REPEAT:
        return last
    if u < REVISIT:
        return row.slot[_back(max(1, n - 1), 4.0, state)]
    if u < VARIANT or (row.type[n - 1] == CART and u < AFTER_CART):
        to = _variant(shop, last, state)
        if row.type[n - 1] == CART:
            to = linked(shop, last, FIRST_COMPLEMENT)
        elif u < LINKED:
            to = linked(shop, last, int(LINKS * _unit(state) ** 2))
        if _accepts(shop, to, day, state):
            return to
    elif u < OTHER_TOPIC:
        topic = _community(shop, state)
    return _popular(shop, topic, day, state)


@nb.njit(cache=True)
def _next_visit(t: int, pace: float, state: U64) -> int:
    """Draw the time of the next visit: `pace` days later on average, its hour by RHYTHM."""
    t += PAUSE_MS
    then = t - pace * log(1 - _unit(state)) * DAY_MS
    if then - t > DAY_MS / 4:
        hour = np.searchsorted(RHYTHM, _unit(state), "right") + _unit(state)
        then = (then // DAY_MS + hour / 24) * DAY_MS
    return int(then) if then > t else int(then) + DAY_MS


@nb.njit(cache=True)
def _add(row: SessionBuffer, n: int, slot: int, t: int, type: int) -> int:
    """Append an event if there is room and time left; return the number of events."""
    if n < LONGEST and t < row.end:
        row.slot[n], row.ts[n], row.type[n] = slot, t, type
        n += 1
    return n


@nb.njit(cache=True)
def _session(shop: Shop, row: SessionBuffer, session: int, t: int) -> tuple[int, int]:
    """Simulate a person from ms t on; return the numbers of all events and of visible ones."""
    state = np.array([_hash(shop.seed, session, -1)], np.uint64)
    homes = (_community(shop, state), _community(shop, state), _community(shop, state))
    pace = _log_normal(PACE, state)
    cart_share = TO_CART * _log_normal((-CART_SIGMA * CART_SIGMA / 2, CART_SIGMA), state)
    cart = np.empty(LONGEST, np.int64)
    n = in_cart = 0
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
            no_click = n == 0 and _unit(state) < STARTS_WITH_CART
            n = _add(row, n, slot, t, CART if no_click else CLICK)
            t += min(PAUSE_MS, int(_log_normal(GAP, state)))
            to_cart = no_click or _unit(state) < cart_share
            if to_cart and in_cart < LONGEST and slot not in cart[:in_cart]:
                cart[in_cart] = slot
                in_cart += 1
                if not no_click and _unit(state) >= NO_CART_EVENT:
                    n = _add(row, n, slot, t, CART)
                    t += min(PAUSE_MS, int(_log_normal(GAP, state)))
        if in_cart and _unit(state) < TO_ORDER:
            for k in range(in_cart):
                n = _add(row, n, cart[k], t, ORDER)
            in_cart = 0
        in_cart *= _unit(state) >= DROP_CART
        t = _next_visit(t, pace, state)
    return n, 1 + int((n - 1) * _unit(state))


@nb.njit(cache=True)
def fill(shop: Shop, rows: SessionBuffer, first: int, start: I64, length: I64, cut: I64) -> None:
    """Simulate sessions first, first + 1, ... into the rows of a buffer.

    length, cut: numbers of events and of visible events of each session; written.
    """
    for i in range(start.size):
        row = SessionBuffer(rows.slot[i], rows.ts[i], rows.type[i], rows.end)
        length[i], cut[i] = _session(shop, row, first + i, start[i])
