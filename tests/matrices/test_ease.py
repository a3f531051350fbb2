"""EASE against the textbook formula, on small dense data.

pytest tests/matrices/test_ease.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from matrix_rows import written
from planted import N_ITEMS, PER_COMMUNITY, planted_events, sessions_of

from src.data.schemas import EVENTS
from src.data.sessions import Sessions
from src.matrices.ease import EaseMatrix, inverted
from src.matrices.neighbours import NEIGHBOURS

ALL = EaseMatrix("ease", ridge=10.0, top_n=500)


def computed(sessions: Sessions, row: EaseMatrix) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=NEIGHBOURS), *row.tables(sessions)])


def sessions_with(histories: list[list[int]], n_items: int) -> Sessions:
    rows = [(s, item, 10 * s, 0) for s, history in enumerate(histories) for item in history]
    events = pl.DataFrame(rows, schema=EVENTS, orient="row")
    return Sessions.from_events(events, len(histories), n_items, 0)


def incidence(sessions: Sessions) -> np.ndarray:
    """X: 1 where a session has an item."""
    X = np.zeros((sessions.n_sessions, sessions.n_items))
    X[np.repeat(np.arange(sessions.n_sessions), np.diff(sessions.offsets)), sessions.item] = 1
    return X


def textbook(sessions: Sessions, ridge: float) -> np.ndarray:
    """B of all items, as the paper's listing has it."""
    X = incidence(sessions)
    P = np.linalg.inv(X.T @ X + ridge * np.identity(sessions.n_items))
    B = P / -np.diag(P)
    B[np.diag_indices(sessions.n_items)] = 0
    return B


def dense(table: pl.DataFrame, n_items: int) -> np.ndarray:
    weight = np.zeros((n_items, n_items))
    weight[table["item_x"], table["item_y"]] = table["weight"]
    return weight


@pytest.mark.parametrize("ridge", [0.5, 10.0, 1000.0])
def test_weights_are_those_of_the_paper(ridge: float) -> None:
    sessions = sessions_of(planted_events())
    table = computed(sessions, replace(ALL, ridge=ridge))
    wanted = np.maximum(textbook(sessions, ridge), 0)
    wanted[wanted < 1e-12] = 0  # of items without a common session, by rounding
    assert table.schema == NEIGHBOURS
    np.testing.assert_allclose(dense(table, N_ITEMS), wanted, atol=1e-7, rtol=1e-5)


def test_weights_minimise_the_squared_error_of_each_item() -> None:
    """Each column is the ridge regression of an item on all others."""
    sessions, ridge = sessions_of(planted_events()), 10.0
    X = incidence(sessions)
    found = dense(computed(sessions, ALL), N_ITEMS)
    y = int(X.sum(axis=0).argmax())
    others = np.flatnonzero(np.arange(N_ITEMS) != y)
    A = X[:, others]
    solved = np.linalg.solve(A.T @ A + ridge * np.identity(others.size), A.T @ X[:, y])
    np.testing.assert_allclose(found[others, y], np.maximum(solved, 0), atol=1e-6)


def test_by_hand() -> None:
    """X'X is [[2, 1], [1, 2]]; with a ridge of 1, P is [[3, -1], [-1, 3]] / 8."""
    table = computed(sessions_with([[0, 1, 1], [0], [1]], 2), replace(ALL, ridge=1.0))
    assert table.rows() == [(0, 1, pytest.approx(1 / 3)), (1, 0, pytest.approx(1 / 3))]


def test_a_single_session() -> None:
    """X'X is all ones, so all weights are equal: 1 / (ridge + number of the other items)."""
    table = computed(sessions_with([[4, 1, 2]], 6), replace(ALL, ridge=3.0))
    assert table["weight"].to_list() == pytest.approx([1 / (3 + 2)] * 6)
    assert table["item_x"].to_list() == [1, 1, 2, 2, 4, 4]
    assert table["item_y"].to_list() == [2, 4, 1, 4, 1, 2], "ties by item"


def test_a_large_ridge_leaves_common_sessions() -> None:
    sessions, ridge = sessions_of(planted_events()), 1e9
    found = dense(computed(sessions, replace(ALL, ridge=ridge)), N_ITEMS)
    X = incidence(sessions)
    common = X.T @ X
    np.fill_diagonal(common, 0)
    np.testing.assert_allclose(found * ridge, common, atol=1e-3)


def test_an_item_without_a_session_is_nobodys_neighbour() -> None:
    table = computed(sessions_of(planted_events()), ALL)
    unseen = N_ITEMS - 1
    assert unseen not in table["item_x"] and unseen not in table["item_y"]
    strong = table.filter(pl.col("weight") > 1e-6)
    assert (strong["item_x"] // PER_COMMUNITY == strong["item_y"] // PER_COMMUNITY).all()


def test_only_the_most_frequent_items_take_part() -> None:
    sessions = sessions_of(planted_events())
    count = np.bincount(sessions.item, minlength=N_ITEMS)
    kept = np.sort(np.argsort(-count, kind="stable")[:30])
    table = computed(sessions, replace(ALL, max_items=30))
    number = np.full(N_ITEMS, -1)
    number[kept] = np.arange(30)
    fewer = planted_events().with_columns(
        item=pl.col("item").replace_strict(dict(enumerate(number.tolist())))
    )
    fewer = fewer.filter(pl.col("item") >= 0).cast(EVENTS)  # type: ignore[arg-type]
    wanted = computed(Sessions.from_events(fewer, sessions.n_sessions, 30, 0), ALL)
    named = wanted.with_columns(pl.col("item_x", "item_y").replace_strict(dict(enumerate(kept))))
    assert table.equals(named.cast(NEIGHBOURS))  # type: ignore[arg-type]


def test_ranges_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = sessions_of(planted_events())
    whole = computed(sessions, ALL)
    monkeypatch.setattr("src.matrices.ease.RANGE", 7)
    assert computed(sessions, ALL).equals(whole)


def test_top_n_keeps_the_heaviest() -> None:
    sessions = sessions_of(planted_events())
    wanted = computed(sessions, ALL).group_by("item_x", maintain_order=True).head(3)
    assert computed(sessions, replace(ALL, top_n=3)).equals(wanted)
    ordered = wanted.sort("item_x", "weight", "item_y", descending=[False, True, False])
    assert wanted.equals(ordered)


def test_threads_change_no_byte_of_the_inverse() -> None:
    """600 items: LAPACK splits the work, and rounds otherwise."""
    rng, before = np.random.default_rng(0), torch.get_num_threads()
    has = rng.random((2000, 600)) < 0.1
    gram = has.T.astype(np.float64) @ has + 10.0 * np.identity(600)
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(inverted(gram.copy(), "cpu"))
            assert torch.get_num_threads() == threads, "the setting of others is restored"
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0] @ gram, np.identity(600), atol=1e-9)


def test_step_2_writes_it_and_an_empty_split_has_no_neighbours(tmp_path: Path) -> None:
    for folder, events in (("full", planted_events()), ("empty", pl.DataFrame(schema=EVENTS))):
        data, table = written(tmp_path / folder, events, ALL)
        assert table.schema == NEIGHBOURS
        assert table.equals(computed(data.sessions, ALL))
        assert table.is_empty() == events.is_empty()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="ease: ridge is above 0"):
        EaseMatrix("ease", ridge=0.0)
    with pytest.raises(ValueError, match="top_n is at least 1, not 0"):
        EaseMatrix("ease", top_n=0)
