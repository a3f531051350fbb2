"""Matrices: kernel against self-merge, a known answer per word of a row, invariants of all rows."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from pathlib import Path

import numba
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from matrix_rows import EVERY_ROW, AnySessions, any_row, any_sessions, both, frame_of
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


@every_row
def test_kernel_equals_the_self_merge(row: CovisitationMatrix) -> None:
    want = self_merge(planted().lazy(), row, span_of(planted())).collect()
    assert want.height > 50 and want.schema == NEIGHBOURS
    assert_frame_equal(counted(row), want, check_exact=True)


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(any_sessions, any_row)
def test_kernel_equals_the_self_merge_on_anything(
    sessions: AnySessions, row: CovisitationMatrix
) -> None:
    frame = frame_of(sessions)
    both(frame, row, span_of(frame))


BACK = [(1, 0, CLICK), (2, 10, CART), (1, 30, CLICK)]  # item, second, type
FOUR = [(1, 0, CLICK), (2, 10, CART), (3, 30, ORDER), (4, 60, CLICK)]
ALL = 10 * DAY


def test_dedupe_is_per_session_and_sessions_add_up() -> None:
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
        CovisitationMatrix("t", time_weight=1, max_steps=1, backward=0.0),
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
    files = [tmp_path / str(number) for number in range(len(rows))]
    monkeypatch.setattr(count, "RANGE", 50)
    with ExitStack() as stack:
        writers = [stack.enter_context(TableWriter(file, NEIGHBOURS)) for file in files]
        for low, matrices in count.count(view_of(types), rows, span_of(planted())):
            for writer, matrix in zip(writers, matrices, strict=True):
                writer.add(matrix.to_frame(low))
    for row, file in zip(rows, files, strict=True):
        assert_frame_equal(pl.read_parquet(file), counted(row), check_exact=True)


def test_load_takes_the_heaviest(tmp_path: Path) -> None:
    frame = counted(EVERY_ROW["otto near6"])
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
