"""Matrices: kernel against self-merge, a known answer per word of a row, invariants of all rows."""

from __future__ import annotations

import math
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_rows import EVERY_ROW
from planted import N_ITEMS, PER_COMMUNITY, planted_events, sessions_of, span_of
from polars.testing import assert_frame_equal

from src.core.parquet import TableWriter
from src.data.schemas import EVENTS
from src.data.units import DAY
from src.matrices import count
from src.matrices.count import count_whole
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.event_index import EventIndex, index_events
from src.matrices.neighbours import NEIGHBOURS, Neighbours
from src.matrices.self_merge import self_merge
from src.matrices.span import Span

CLICK, CART, ORDER = 0, 1, 2
BUYS = (CART, ORDER)
every_row = pytest.mark.parametrize("row", EVERY_ROW.values(), ids=EVERY_ROW.keys())


@cache
def planted() -> pl.DataFrame:
    return planted_events()


@cache
def view_of(types: tuple[int, ...] | None) -> EventIndex:  # shared by rows, as in step 2
    return index_events(sessions_of(planted()), types)


def counted(row: CovisitationMatrix) -> pl.DataFrame:
    return count_whole(view_of(row.types), row, span_of(planted())).to_frame()


def both(events: pl.DataFrame, row: CovisitationMatrix, span: Span) -> pl.DataFrame:
    """The matrix, which kernel and self-merge agree on."""
    view = index_events(sessions_of(events), row.types)
    frame = count_whole(view, row, span).to_frame()
    assert_frame_equal(frame, self_merge(events.lazy(), row, span).collect(), check_exact=True)
    return frame


@every_row
def test_kernel_equals_the_self_merge(row: CovisitationMatrix) -> None:
    want = self_merge(planted().lazy(), row, span_of(planted())).collect()
    assert want.height > 50 and want.schema == NEIGHBOURS
    assert_frame_equal(counted(row), want, check_exact=True)


event = st.tuples(st.integers(0, 6), st.sampled_from([0, 0, 1, 50, 400]), st.integers(0, 2))
maybe = st.none().__or__
weights = st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 6.0])] * 3)
row_of = st.builds(
    CovisitationMatrix,
    name=st.just("any"),
    types=maybe(st.sets(st.integers(0, 2), min_size=1).map(lambda s: tuple(sorted(s)))),
    last_days=maybe(st.sampled_from([0.001, 0.005])),
    last_events=st.integers(1, 8),
    first_only=st.booleans(),
    direction=st.sampled_from(["both", "forward"]),
    max_gap_s=maybe(st.integers(1, 500)),
    max_steps=maybe(st.integers(1, 4)),
    source_weight=weights,
    target_weight=weights,
    time_weight=st.sampled_from([0.0, 3.0]),
    half_life=maybe(st.sampled_from([3.0, 100.0])),
    step_decay=st.sampled_from([1.0, 0.6]),
    dedupe=st.booleans(),
    session_norm=st.booleans(),
    item_norm=st.sampled_from([0.0, 0.5]),
    top_n=st.integers(1, 4),
)


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(event, min_size=1, max_size=7), min_size=1, max_size=4), row_of)
def test_kernel_equals_the_self_merge_on_anything(
    sessions: list[list[tuple[int, int, int]]], row: CovisitationMatrix
) -> None:
    rows = []
    for s, events in enumerate(sessions):
        ts = np.cumsum([gap for _, gap, _ in events])
        rows += [(s, item, int(t), type_) for (item, _, type_), t in zip(events, ts, strict=True)]
    frame = pl.DataFrame(rows, schema=EVENTS, orient="row")
    both(frame, row, span_of(frame))


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
    "no condition": (FOUR, {"within": ALL}, EVEN),
    "never a self pair": (BACK, {"within": ALL}, mirror({(1, 2): 1})),
    "types": (FOUR, {"types": (CLICK, ORDER)}, mirror({(1, 3): 1, (1, 4): 1, (3, 4): 1})),
    "last_days is >": (OLD, {"last_days": 1, "within": ALL}, mirror({(3, 4): 1})),
    "last_days, a fraction": (OLD, {"last_days": 0.5, "within": ALL}, {}),
    "tail": (FOUR, {"tail": 2}, mirror({(3, 4): 1})),
    "tail longer than the session": (FOUR, {"tail": 30}, EVEN),
    "tail counts kept types": (FOUR, {"types": (CLICK, ORDER), "tail": 2}, mirror({(3, 4): 1})),
    "first_only": (BACK, {"first_only": True, "within": ALL, "once": False}, {(1, 2): 1}),
    "first_only of the tail": (FOUR, {"first_only": True, "tail": 3}, {(2, 3): 1, (2, 4): 1}),
    "first_only of kept types": (FOUR, {"first_only": True, "types": (1, 2)}, {(2, 3): 1}),
    "forward": (FOUR, {"direction": "forward", "tail": 4}, {k: 1 for k in EVEN if k[0] < k[1]}),
    "forward is by position": (SAME, {"direction": "forward", "within": ALL}, {(2, 1): 1}),
    "both at one second": (SAME, {"within": 1}, mirror({(1, 2): 1})),
    "within is <": (FOUR, {"within": 20}, mirror({(1, 2): 1})),
    "within, a second more": (FOUR, {"within": 21}, mirror({(1, 2): 1, (2, 3): 1})),
    "steps 1": (FOUR, {"steps": 1}, mirror({(1, 2): 1, (2, 3): 1, (3, 4): 1})),
    "steps is <=": (FOUR, {"steps": 2}, {k: 1 for k in EVEN if set(k) != {1, 4}}),
    "steps of kept types": (FOUR, {"types": (0, 2), "steps": 1}, mirror({(1, 3): 1, (3, 4): 1})),
    "source_weight": (FOUR, {"source_weight": (1, 2, 0), "within": ALL},
        {(x, y): {1: 1, 2: 2, 4: 1}[x] for x, y in EVEN if x != 3}),
    "target_weight": (FOUR, {"target_weight": (0, 3, 5), "within": ALL},
        {(x, y): {2: 3, 3: 5}[y] for x, y in EVEN if y in (2, 3)}),
    "their product": (
        FOUR, {"source_weight": (0, 2, 0), "target_weight": (0.5, 0, 3), "within": ALL},
        {(2, 1): 1, (2, 3): 6, (2, 4): 1}),
    "recency, of x": (FOUR, {"recency": 3, "within": ALL},
        {(x, y): {1: 1, 2: 1.5, 3: 2.5, 4: 4}[x] for x, y in EVEN}),
    "half_life": (FOUR, {"half_life": 10}, mirror(
        {(1, 2): 0.5, (2, 3): 1 / 4, (3, 4): 1 / 8, (1, 3): 1 / 8, (2, 4): 2**-5, (1, 4): 2**-6})),
    "half a unit is a vote, less is none": (FAR, {"half_life": 10}, mirror({(1, 2): 2**-24})),
    "step_decay": (FOUR, {"step_decay": 0.5, "tail": 4}, mirror(
        {(1, 2): 1, (2, 3): 1, (3, 4): 1, (1, 3): 0.5, (2, 4): 0.5, (1, 4): 0.25})),
    "once: the heaviest": (BACK, {"half_life": 10}, mirror({(1, 2): 0.5})),
    "not once: all": (BACK, {"half_life": 10, "once": False}, mirror({(1, 2): 0.75})),
    "session_norm": (FOUR, {"session_norm": True, "within": 20}, mirror({(1, 2): 1 / LN5})),
    "session_norm, type": (FOUR, {"types": BUYS, "session_norm": True}, mirror({(2, 3): 1 / LN3})),
    "session_norm, tail": (FOUR, {"session_norm": True, "tail": 2}, mirror({(3, 4): 1 / LN3})),
    "item_norm": (BACK, {"item_norm": 0.5, "within": ALL}, mirror({(1, 2): 2**-0.5})),
    "item_norm of the tail": (BACK, {"item_norm": 0.5, "tail": 2}, mirror({(1, 2): 1})),
    "top_n, ties by item": (
        TIES, {"within": ALL, "top_n": 2, "source_weight": (1, 0, 0)},
        {(0, 6): 1, (0, 7): 1, (6, 0): 1, (6, 7): 1, (7, 0): 1, (7, 6): 1,
         (8, 0): 1, (8, 6): 1, (9, 0): 1, (9, 6): 1}),
    "top_n, weight before item": (TIES, {"half_life": 10, "direction": "forward", "top_n": 2},
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


def test_once_is_per_session_and_sessions_add_up() -> None:
    rows = [(s, a, t, k) for s in (0, 1) for a, t, k in BACK] + [(2, 1, 0, 0), (2, 3, 0, 0)]
    events = pl.DataFrame(rows, schema=EVENTS, orient="row")
    frame = both(events, CovisitationMatrix("t", max_gap_s=ALL, item_norm=1.0), span_of(events))
    # item 1 has 5 events, item 2 has 2, item 3 has 1: 2 / (5 * 2) and 1 / (5 * 1)
    assert frame.rows() == [(*xy, np.float32(0.2)) for xy in ((1, 2), (1, 3), (2, 1), (3, 1))]


def test_windows_are_anchored_at_the_span() -> None:
    events = pl.DataFrame([(0, a, t, k) for a, t, k in FOUR], schema=EVENTS, orient="row")
    span = Span(-60, DAY + 10)  # other sessions reach farther; item 2 is exactly a day old
    assert both(events, CovisitationMatrix("t", last_days=1, max_gap_s=ALL), span)[
        "item_x"
    ].to_list() == [3, 4]
    aged = both(
        events,
        CovisitationMatrix("t", time_weight=1, max_steps=1, direction="forward"),
        Span(-60, 60),
    )
    assert aged.rows() == [(1, 2, 1.5), (2, 3, pytest.approx(1 + 70 / 120)), (3, 4, 1.75)]


def test_a_row_that_would_vote_for_every_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="matrix t: every pair"):
        CovisitationMatrix("t")


@every_row
def test_neighbours_are_ordered_bounded_and_of_one_community(row: CovisitationMatrix) -> None:
    frame = counted(row)
    x, y, weight = (frame[c].to_numpy() for c in NEIGHBOURS.names())
    assert (x != y).all() and (weight > 0).all()
    assert (x // PER_COMMUNITY == y // PER_COMMUNITY).all()
    assert frame.sort("item_x", -pl.col("weight"), "item_y").equals(frame)
    assert frame.group_by("item_x").len()["len"].max() <= row.top_n
    assert frame.select("item_x", "item_y").is_unique().all()
    assert Neighbours.from_frame(frame, N_ITEMS).to_frame().equals(frame)


@every_row
def test_ranges_of_items_give_the_whole(
    row: CovisitationMatrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, lazy, ranges = counted(row), planted().lazy(), [(0, 1), (1, 37), (37, 90), (90, N_ITEMS)]
    merged = pl.concat([self_merge(lazy, row, span_of(planted()), r).collect() for r in ranges])
    assert_frame_equal(merged, whole, check_exact=True)
    monkeypatch.setattr(count, "RANGE", 7)
    assert_frame_equal(counted(row), whole, check_exact=True)


@pytest.mark.parametrize("types", sorted({row.types for row in EVERY_ROW.values()}, key=repr))
def test_rows_counted_together_are_as_alone(
    types: tuple[int, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for row in EVERY_ROW.values() if row.types == types]
    monkeypatch.setattr(count, "RANGE", 50)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(TableWriter(tmp_path / row.name, NEIGHBOURS)) for row in rows
        ]
        for low, matrices in count.count(view_of(types), rows, span_of(planted())):
            for writer, matrix in zip(writers, matrices, strict=True):
                writer.add(matrix.to_frame(low))
    for row in rows:
        assert_frame_equal(pl.read_parquet(tmp_path / row.name), counted(row), check_exact=True)


def test_load_takes_the_heaviest(tmp_path: Path) -> None:
    frame = counted(EVERY_ROW["near6"])
    with TableWriter(tmp_path / "m", NEIGHBOURS) as writer:
        for piece in frame.iter_slices(17):  # items go on in the next row group
            writer.add(piece)
    assert Neighbours.mapped(tmp_path / "m", N_ITEMS).to_frame().equals(frame)
    with TableWriter(tmp_path / "none", NEIGHBOURS) as writer:
        writer.add(frame.clear())
    assert Neighbours.mapped(tmp_path / "none", N_ITEMS).to_frame().is_empty()
    three = frame.group_by("item_x", maintain_order=True).head(3).select(NEIGHBOURS.names())
    assert Neighbours.load(tmp_path / "m", N_ITEMS, top=3).to_frame().equals(three)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread")
@every_row
def test_threads_do_not_change_a_byte(row: CovisitationMatrix) -> None:
    before, got = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            view_of.cache_clear()
            got.append([column.to_numpy().tobytes() for column in counted(row)])
    finally:
        numba.set_num_threads(before)
    assert got[0] == got[1]


@every_row
def test_session_ids_do_not_matter(row: CovisitationMatrix) -> None:
    ids = np.random.default_rng(1).permutation(300).astype(np.int32)
    renamed = planted().with_columns(session=pl.Series(ids[planted()["session"].to_numpy()]))
    renamed = renamed.sort("session", maintain_order=True)
    view = index_events(sessions_of(renamed), row.types)
    assert count_whole(view, row, span_of(renamed)).to_frame().equals(counted(row))
