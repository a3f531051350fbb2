"""A known answer for every word of a co-visitation row, by hand.

pytest tests/matrices/test_known_answers.py
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from matrix_rows import both
from planted import span_of

from src.data.schemas import EVENTS
from src.data.units import DAY
from src.matrices.covisitation import CovisitationMatrix

CLICK, CART, ORDER = 0, 1, 2
BUYS = (CART, ORDER)
FOUR = [(1, 0, CLICK), (2, 10, CART), (3, 30, ORDER), (4, 60, CLICK)]  # item, second, type
BACK = [(1, 0, CLICK), (2, 10, CART), (1, 30, CLICK)]
SAME = [(2, 5, CLICK), (1, 5, CLICK)]  # one second: only the position tells the order
OLD = [(1, 0, CLICK), (2, 10, CLICK), (3, 11, CLICK), (4, DAY + 10, CLICK)]
TIES = [(9, 0, CLICK), (7, 0, CLICK), (8, 0, CLICK), (0, 0, CLICK), (6, 10, CLICK)]
FAR = [(1, 0, CLICK), (2, 250, CLICK), (3, 501, CLICK)]  # 2**-25 and less at a half-life of 10
ALL = 10 * DAY
LN3, LN5 = math.log(3), math.log(5)


def mirror(pairs: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    return pairs | {(y, x): w for (x, y), w in pairs.items()}


EVEN = mirror({(1, 2): 1, (1, 3): 1, (1, 4): 1, (2, 3): 1, (2, 4): 1, (3, 4): 1})
KNOWN: dict[str, tuple[list, dict[str, Any], dict[tuple[int, int], float]]] = {
    "no condition": (FOUR, {"max_gap_s": ALL}, EVEN),
    "never a self pair": (BACK, {"max_gap_s": ALL}, mirror({(1, 2): 1})),
    "types": (FOUR, {"types": (CLICK, ORDER)}, mirror({(1, 3): 1, (1, 4): 1, (3, 4): 1})),
    "last_days is >": (OLD, {"last_days": 1, "max_gap_s": ALL}, mirror({(3, 4): 1})),
    "last_days, a fraction": (OLD, {"last_days": 0.5, "max_gap_s": ALL}, {}),
    "last_events": (FOUR, {"last_events": 2}, mirror({(3, 4): 1})),
    "last_events longer than the session": (FOUR, {"last_events": 30}, EVEN),
    "last_events counts kept types": (
        FOUR, {"types": (CLICK, ORDER), "last_events": 2}, mirror({(3, 4): 1})),
    "first_only": (BACK, {"first_only": True, "max_gap_s": ALL, "dedupe": False}, {(1, 2): 1}),
    "first_only of the last events": (
        FOUR, {"first_only": True, "last_events": 3}, {(2, 3): 1, (2, 4): 1}),
    "first_only of kept types": (FOUR, {"first_only": True, "types": (1, 2)}, {(2, 3): 1}),
    "forward": (
        FOUR, {"backward": 0.0, "last_events": 4}, {k: 1 for k in EVEN if k[0] < k[1]}),
    "forward is by position": (SAME, {"backward": 0.0, "max_gap_s": ALL}, {(2, 1): 1}),
    "backward": (
        FOUR, {"backward": 0.25, "last_events": 4}, {k: 1 if k[0] < k[1] else 0.25 for k in EVEN}),
    "both at one second": (SAME, {"max_gap_s": 1}, mirror({(1, 2): 1})),
    "max_gap_s is <": (FOUR, {"max_gap_s": 20}, mirror({(1, 2): 1})),
    "max_gap_s, a second more": (FOUR, {"max_gap_s": 21}, mirror({(1, 2): 1, (2, 3): 1})),
    "max_steps 1": (FOUR, {"max_steps": 1}, mirror({(1, 2): 1, (2, 3): 1, (3, 4): 1})),
    "max_steps is <=": (FOUR, {"max_steps": 2}, {k: 1 for k in EVEN if set(k) != {1, 4}}),
    "max_steps of kept types": (
        FOUR, {"types": (0, 2), "max_steps": 1}, mirror({(1, 3): 1, (3, 4): 1})),
    "source_weight": (FOUR, {"source_weight": (1, 2, 0), "max_gap_s": ALL},
        {(x, y): {1: 1, 2: 2, 4: 1}[x] for x, y in EVEN if x != 3}),
    "target_weight": (FOUR, {"target_weight": (0, 3, 5), "max_gap_s": ALL},
        {(x, y): {2: 3, 3: 5}[y] for x, y in EVEN if y in (2, 3)}),
    "their product": (
        FOUR, {"source_weight": (0, 2, 0), "target_weight": (0.5, 0, 3), "max_gap_s": ALL},
        {(2, 1): 1, (2, 3): 6, (2, 4): 1}),
    "time_weight, of x": (FOUR, {"time_weight": 3, "max_gap_s": ALL},
        {(x, y): {1: 1, 2: 1.5, 3: 2.5, 4: 4}[x] for x, y in EVEN}),
    "half_life": (FOUR, {"half_life": 10}, mirror(
        {(1, 2): 0.5, (2, 3): 1 / 4, (3, 4): 1 / 8, (1, 3): 1 / 8, (2, 4): 2**-5, (1, 4): 2**-6})),
    "half a unit is a vote, less is none": (FAR, {"half_life": 10}, mirror({(1, 2): 2**-24})),
    "step_decay": (FOUR, {"step_decay": 0.5, "last_events": 4}, mirror(
        {(1, 2): 1, (2, 3): 1, (3, 4): 1, (1, 3): 0.5, (2, 4): 0.5, (1, 4): 0.25})),
    "dedupe: the heaviest": (BACK, {"half_life": 10}, mirror({(1, 2): 0.5})),
    "no dedupe: all": (BACK, {"half_life": 10, "dedupe": False}, mirror({(1, 2): 0.75})),
    "session_norm": (FOUR, {"session_norm": True, "max_gap_s": 20}, mirror({(1, 2): 1 / LN5})),
    "session_norm, type": (FOUR, {"types": BUYS, "session_norm": True}, mirror({(2, 3): 1 / LN3})),
    "session_norm, last_events": (
        FOUR, {"session_norm": True, "last_events": 2}, mirror({(3, 4): 1 / LN3})),
    "item_norm": (BACK, {"item_norm": 0.5, "max_gap_s": ALL}, mirror({(1, 2): 2**-0.5})),
    "item_norm of the last events": (
        BACK, {"item_norm": 0.5, "last_events": 2}, mirror({(1, 2): 1})),
    "top_n, ties by item": (
        TIES, {"max_gap_s": ALL, "top_n": 2, "source_weight": (1, 0, 0)},
        {(0, 6): 1, (0, 7): 1, (6, 0): 1, (6, 7): 1, (7, 0): 1, (7, 6): 1,
         (8, 0): 1, (8, 6): 1, (9, 0): 1, (9, 6): 1}),
    "top_n, weight before item": (TIES, {"half_life": 10, "backward": 0.0, "top_n": 2},
        {(9, 0): 1, (9, 7): 1, (7, 0): 1, (7, 8): 1, (8, 0): 1, (8, 6): 0.5, (0, 6): 0.5}),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_answer(name: str) -> None:
    session, words, want = KNOWN[name]
    # the same session twice, the second time with items 10 higher: they must not touch
    rows = [(s, a + 10 * s, t, k) for s in (0, 1) for a, t, k in session]
    events = pl.DataFrame(rows, schema=EVENTS, orient="row")
    frame = both(events, CovisitationMatrix("t", **words), span_of(events))
    got = {(x, y): w for x, y, w in frame.iter_rows()}
    want = want | {(x + 10, y + 10): w for (x, y), w in want.items()}
    assert got == pytest.approx(want, rel=1e-6)
    assert frame.rows() == sorted(frame.rows(), key=lambda r: (r[0], -r[2], r[1]))
