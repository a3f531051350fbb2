"""Swing against a plain loop over pairs of sessions, and worked by hand.

pytest tests/matrices/test_swing.py
"""

from __future__ import annotations

from itertools import combinations
from math import sqrt

import numba
import polars as pl
import pytest
from planted import N_ITEMS, PER_COMMUNITY, planted_events, sessions_of

from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.matrices.neighbours import NEIGHBOURS
from src.matrices.swing import SwingMatrix

ROWS = [SwingMatrix("all", max_sessions=999, max_items=999, top_n=200),
        SwingMatrix("few", alpha=5.0, max_sessions=9, max_items=4, top_n=6)]  # fmt: skip


def counted(sessions: Sessions, row: SwingMatrix) -> pl.DataFrame:
    return pl.concat(row.count(sessions))


def plain(events: pl.DataFrame, row: SwingMatrix) -> dict[int, dict[int, float]]:
    """Weights of all neighbours of every item."""
    histories = {s: frame.rows(named=True) for (s,), frame in events.group_by("session")}
    items, last = {}, {}
    for s, history in histories.items():
        newest = dict.fromkeys(event["item"] for event in reversed(history))
        items[s], last[s] = set(list(newest)[: row.max_items]), history[-1]["ts"]
    found: dict[int, dict[int, float]] = {}
    for x in range(N_ITEMS):
        holders = [s for s, h in histories.items() if x in (has := {e["item"] for e in h})
                   and len(has) > 1]  # fmt: skip
        holders.sort(key=lambda s: (-last[s], s))
        found[x] = {}
        for u, v in combinations(holders[: row.max_sessions], 2):
            both = items[u] & items[v]
            for y in both - {x}:
                vote = 1 / (sqrt(len(items[u]) * len(items[v])) * (row.alpha + len(both)))
                found[x][y] = found[x].get(y, 0.0) + vote
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_swing_is_a_loop_over_pairs_of_sessions(row: SwingMatrix) -> None:
    """Late sessions of one item take the place of no other."""
    lone = [(300 + n, n % 40, 2_000_000_000 + n, 0) for n in range(400)]
    events = pl.concat([planted_events(), pl.DataFrame(lone, schema=EVENTS, orient="row")])
    table, wanted = counted(sessions_of(events), row), plain(events, row)
    assert table.schema == NEIGHBOURS
    for (x,), mine in table.group_by("item_x"):
        scores = wanted.pop(x)
        n = min(row.top_n, len(scores))
        assert mine["weight"].to_list() == pytest.approx(sorted(scores.values())[::-1][:n])
        assert mine["weight"].to_list() == pytest.approx([scores[y] for y in mine["item_y"]])
        assert mine["item_y"].n_unique() == n and x not in mine["item_y"]
    assert not any(wanted.values()), "items without neighbours"
    ordered = table.sort("item_x", "weight", "item_y", descending=[False, True, False])
    assert table.equals(ordered)
    assert (table["item_x"] // PER_COMMUNITY == table["item_y"] // PER_COMMUNITY).all()


def test_swing_by_hand() -> None:
    """Items 0 and 1 are shared by two sessions that share no more; 2 by two that share three."""
    histories = [[0, 1, 1, 3], [1, 0], [0, 2, 4], [4, 2, 0]]
    rows = [(s, item, 10 * s, 0) for s, history in enumerate(histories) for item in history]
    events = pl.DataFrame(rows, schema=EVENTS, orient="row")
    table = counted(Sessions.from_events(events, 4, 5, 0), SwingMatrix("swing"))
    weight = {(x, y): w for x, y, w in table.rows()}
    assert weight[0, 1] == weight[1, 0] == pytest.approx(1 / (sqrt(3 * 2) * (1 + 2)))
    assert weight[2, 4] == weight[0, 2] == pytest.approx(1 / (3 * (1 + 3)))
    assert (3, 0) not in weight and (1, 2) not in weight, "one session is no pair"


def test_threads_change_nothing() -> None:
    sessions, threads = sessions_of(planted_events()), numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = counted(sessions, ROWS[0])
    finally:
        numba.set_num_threads(threads)
    assert one.equals(counted(sessions, ROWS[0]))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="swing: alpha is above 0"):
        SwingMatrix("swing", alpha=0.0)
