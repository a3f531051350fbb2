"""Sparse EASE against ridge regressions of single items, on small dense data.

pytest tests/matrices/test_sparse_ease.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matrix_rows import written
from planted import BARE, N_ITEMS, PER_COMMUNITY, planted_events, write_split
from scipy import sparse

from src.data.schemas import EVENTS
from src.data.split_data import SplitData
from src.matrices import sparse_ease_kernel
from src.matrices.ease import EaseMatrix
from src.matrices.neighbours import NEIGHBOURS
from src.matrices.sparse_ease import SparseEaseMatrix, top_of

ALL = SparseEaseMatrix("ease", ridge=10.0, nearest=500, pairs=1000, last_events=10_000, top_n=500)


def split_with(folder: Path, histories: list[list[int]], row: SparseEaseMatrix) -> SplitData:
    rows = [(s, item, 10 * s, 0) for s, history in enumerate(histories) for item in history]
    events = pl.DataFrame(rows, schema=EVENTS, orient="row")
    return write_split(folder, events, 3, recipe=replace(BARE, matrices=(row,)))


def incidence(data: SplitData) -> np.ndarray:
    """X: 1 where a session has an item."""
    s = data.sessions
    X = np.zeros((s.n_sessions, s.n_items))
    X[np.repeat(np.arange(s.n_sessions), np.diff(s.offsets)), s.item] = 1
    return X


def regressions(X: np.ndarray, ridge: float, nearest: int) -> np.ndarray:
    """Column y: weights of the items with the largest cosines with y; ties by item."""
    gram, n_items = X.T @ X, X.shape[1]
    B, size = np.zeros((n_items, n_items)), np.diag(gram) + ridge
    for y in np.flatnonzero(np.diag(gram)):
        cosine = (gram[y] / np.sqrt(size * size[y])).astype(np.float32)
        cosine[y] = 0
        near = np.argsort(-cosine, kind="stable")[:nearest]
        S = near[cosine[near] > 0]
        A = gram[np.ix_(S, S)] + ridge * np.identity(S.size)
        B[S, y] = np.linalg.solve(A, gram[S, y])
    return np.maximum(B, 0)


@pytest.mark.parametrize("nearest", [1, 4, 500])
@pytest.mark.parametrize("ridge", [0.5, 10.0, 1000.0])
def test_each_item_is_regressed_on_its_nearest(tmp_path: Path, ridge: float, nearest: int) -> None:
    data = write_split(tmp_path, planted_events(), 3)
    found = replace(ALL, ridge=ridge, nearest=nearest).weights(data).toarray()
    wanted = regressions(incidence(data), ridge, nearest)
    np.testing.assert_allclose(found, wanted, atol=1e-7, rtol=1e-5)


def test_with_all_items_near_it_is_ease(tmp_path: Path) -> None:
    """Every two items share a session, so each item is regressed on all others."""
    rng = np.random.default_rng(0)
    histories = [rng.choice(12, rng.integers(2, 7), replace=False).tolist() for _ in range(200)]
    data = split_with(tmp_path, histories, ALL)
    rows = EaseMatrix("ease", ridge=10.0, top_n=500).tables(data.sessions)
    table = pl.concat([pl.DataFrame(schema=NEIGHBOURS), *rows])
    wanted = np.zeros((data.sessions.n_items,) * 2)
    wanted[table["item_x"], table["item_y"]] = table["weight"]
    np.testing.assert_allclose(ALL.weights(data).toarray(), wanted, atol=1e-7)
    assert np.count_nonzero(wanted) > 40


def test_only_the_last_events_count_and_each_item_once(tmp_path: Path) -> None:
    """Ridge 1. Among the last two events, item 1 is in one session, item 2 in both."""
    data = split_with(tmp_path, [[0, 1, 2], [1, 2, 2]], ALL)
    found = replace(ALL, ridge=1.0, last_events=2).weights(data).toarray()
    assert found[1, 2] == pytest.approx(1 / 2) and found[2, 1] == pytest.approx(1 / 3)
    assert found.sum() == pytest.approx(1 / 2 + 1 / 3)


def test_all_event_types_count_alike(tmp_path: Path) -> None:
    types = tuple("abcde")
    rows = [(s, item, 10 * s, (s + item) % 5) for s in range(40) for item in range(s % 3, 6)]
    data = write_split(tmp_path, pl.DataFrame(rows, schema=EVENTS, orient="row"), 3,
                       recipe=replace(BARE, types=types, type_weight=(1.0,) * 5))  # fmt: skip
    wanted = regressions(incidence(data), 10.0, 500)
    np.testing.assert_allclose(ALL.weights(data).toarray(), wanted, atol=1e-7)


def test_only_the_most_frequent_items_take_part(tmp_path: Path) -> None:
    data = write_split(tmp_path, planted_events(), 3)
    kept = np.sort(np.argsort(-incidence(data).sum(axis=0), kind="stable")[:30])
    wanted = np.zeros((N_ITEMS, N_ITEMS))
    wanted[np.ix_(kept, kept)] = regressions(incidence(data)[:, kept], 10.0, 500)
    found = replace(ALL, max_items=30).weights(data).toarray()
    np.testing.assert_allclose(found, wanted, atol=1e-7)


def test_a_pair_is_known_if_one_of_its_items_lists_it(tmp_path: Path) -> None:
    """Item 0 is with all others, item 3 with 0 alone: 0 does not list 3, but 3 lists 0."""
    histories = [[0, 1]] * 5 + [[0, 2]] * 4 + [[0, 3]]
    data = split_with(tmp_path, histories, ALL)
    found = replace(ALL, ridge=1.0, pairs=1).weights(data).toarray()
    np.testing.assert_allclose(found, regressions(incidence(data), 1.0, 500), atol=1e-7)
    assert found[0, 3] > 0 and found[3, 0] > 0


@pytest.mark.parametrize("ridge", [1.0, 50.0])
def test_unknown_pairs_leave_small_weights(tmp_path: Path, ridge: float) -> None:
    """The counts that are left are no sum of squares, so a Cholesky factor may not exist."""
    rng = np.random.default_rng(1)
    histories = [sorted({0, 1, *rng.choice(80, 20).tolist()}) for _ in range(600)]
    data = split_with(tmp_path, histories, ALL)
    for pairs in (1, 2, 5, 20):
        found = replace(ALL, ridge=ridge, pairs=pairs).weights(data)
        assert found.nnz and found.data.max() < 5, "they were thousands"


def test_items_of_many_pairs_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_split(tmp_path, planted_events(), 3)
    wanted = regressions(incidence(data), 10.0, 4)
    for steps in (0, 1000):  # look up always, never
        monkeypatch.setattr(sparse_ease_kernel, "LOOK_UP", steps)
        fit = sparse_ease_kernel.fit.py_func
        pairs = ALL.pair_counts(data, np.arange(N_ITEMS))
        sessions = incidence(data).sum(axis=0)
        known = pairs.indptr.astype(np.int64), pairs.indices, pairs.data
        size, near, weight = fit(*known, sessions, 10.0, 4, 1)
        found = np.zeros((N_ITEMS, N_ITEMS))
        for y in range(N_ITEMS):
            found[near[y, : size[y]], y] = weight[y, : size[y]]
        np.testing.assert_allclose(np.maximum(found, 0), wanted, atol=1e-6)


def test_step_2_writes_the_heaviest_and_an_empty_split_has_no_neighbours(tmp_path: Path) -> None:
    row = replace(ALL, top_n=3)
    assert written(tmp_path / "empty", pl.DataFrame(schema=EVENTS), row)[1].is_empty()
    data, full = written(tmp_path / "full", planted_events(), row)
    assert full.schema == NEIGHBOURS
    ordered = full.sort("item_x", "weight", "item_y", descending=[False, True, False])
    assert full.equals(ordered)
    weights = ALL.weights(data).toarray()
    for (x,), near in full.group_by("item_x", maintain_order=True):
        heaviest = np.sort(weights[x])[::-1][: near.height]
        assert near["weight"].to_list() == heaviest.tolist() and near.height <= 3
    strong = full.filter(pl.col("weight") > 1e-6)
    assert (strong["item_x"] // PER_COMMUNITY == strong["item_y"] // PER_COMMUNITY).all()


def test_ties_go_by_item() -> None:
    weights = sparse.csr_matrix(np.array([[0, 0.5, 0.5, 0.7, 0.5], *np.zeros((4, 5))]))
    (table,) = top_of(weights, 3)
    assert table["item_y"].to_list() == [3, 1, 2] and table["item_x"].to_list() == [0, 0, 0]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="ease: ridge is above 0"):
        SparseEaseMatrix("ease", ridge=0.0)
    with pytest.raises(ValueError, match="nearest is at least 1, not 0"):
        SparseEaseMatrix("ease", nearest=0)
