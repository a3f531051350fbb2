"""Sparse EASE against ridge regressions of single items, on small dense data.

pytest tests/matrices/test_sparse_ease.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, N_ITEMS, PER_COMMUNITY, planted_events, write_split

from src.data import paths
from src.data.schemas import EVENTS
from src.data.split_data import SplitData
from src.matrices.build import build_group, groups
from src.matrices.ease import EaseMatrix
from src.matrices.neighbours import NEIGHBOURS
from src.matrices.sparse_ease import SparseEaseMatrix

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


def test_repeats_and_events_before_the_last_count_once_or_never(tmp_path: Path) -> None:
    """With a ridge of 1 and one session, the weight is 1 / 2; item 0 is before the last three."""
    data = split_with(tmp_path, [[0, 1, 2, 2]], ALL)
    found = replace(ALL, ridge=1.0, last_events=3).weights(data).toarray()
    assert found[1, 2] == found[2, 1] == pytest.approx(1 / 2) and found.sum() == pytest.approx(1)


def test_only_the_most_frequent_items_take_part(tmp_path: Path) -> None:
    data = write_split(tmp_path, planted_events(), 3)
    kept = np.sort(np.argsort(-incidence(data).sum(axis=0), kind="stable")[:30])
    wanted = np.zeros((N_ITEMS, N_ITEMS))
    wanted[np.ix_(kept, kept)] = regressions(incidence(data)[:, kept], 10.0, 500)
    found = replace(ALL, max_items=30).weights(data).toarray()
    np.testing.assert_allclose(found, wanted, atol=1e-7)


def test_unknown_pairs_leave_finite_weights(tmp_path: Path) -> None:
    """The counts that are left are no sum of squares, so a Cholesky factor may not exist."""
    rng = np.random.default_rng(1)
    histories = [sorted({0, 1, *rng.choice(40, 20).tolist()}) for _ in range(300)]
    data = split_with(tmp_path, histories, ALL)
    for pairs in (1, 2, 5):
        found = replace(ALL, ridge=1e-6, pairs=pairs).weights(data)
        assert np.isfinite(found.data).all() and found.nnz


def test_step_2_writes_the_heaviest_and_an_empty_split_has_no_neighbours(tmp_path: Path) -> None:
    row = replace(ALL, top_n=3)
    recipe = replace(BARE, matrices=(row,))
    for folder, events in (("full", planted_events()), ("empty", pl.DataFrame(schema=EVENTS))):
        (tmp_path / folder).mkdir()
        data = write_split(tmp_path / folder, events, 3, recipe=recipe, n_sessions=300)
        for group in groups(data):
            build_group(data, group)
        table = pl.read_parquet(paths.neighbours(data.run, "valid", "ease"))
        assert table.schema == NEIGHBOURS
        assert table.is_empty() == events.is_empty()
    ordered = table.sort("item_x", "weight", "item_y", descending=[False, True, False])
    assert table.equals(ordered)
    full = pl.read_parquet(tmp_path / "full" / "valid" / "matrices" / "ease.parquet")
    weights = ALL.weights(write_split(tmp_path / "full", planted_events(), 3)).toarray()
    for (x,), near in full.group_by("item_x", maintain_order=True):
        heaviest = np.sort(weights[x])[::-1][: near.height]
        assert near["weight"].to_list() == heaviest.tolist() and near.height <= 3
    strong = full.filter(pl.col("weight") > 1e-6)
    assert (strong["item_x"] // PER_COMMUNITY == strong["item_y"] // PER_COMMUNITY).all()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="ease: ridge above 0"):
        SparseEaseMatrix("ease", ridge=0.0)
    with pytest.raises(ValueError, match="all counts at least 1"):
        SparseEaseMatrix("ease", nearest=0)
