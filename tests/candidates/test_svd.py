"""PureSVD against a dense decomposition.

pytest tests/candidates/test_svd.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import small_split

from src.candidates.svd import SvdRetriever
from src.data.split_data import SplitData

HISTORIES = [[0, 1], [0, 2, 0], [3, 0], [1, 3, 0], [2, 4], [], [2, 3], [1, 0], [3, 1]]
QUERIES = [[], [3], [0, 0, 1], [4], [2, 4]]
ROW = SvdRetriever("factors", factors=2, item_norm=0.4, top=4)


def split(folder: Path, histories: list[list[int]], queries: list[list[int]]) -> SplitData:
    sessions = [[(item, n, 0) for n, item in enumerate(items)] for items in histories + queries]
    return small_split(folder, sessions, len(queries))


def test_lists_are_those_of_a_dense_decomposition(tmp_path: Path) -> None:
    """Item 4 is in too few sessions; an item counts once per session."""
    data = split(tmp_path, HISTORIES, QUERIES)
    item, score = ROW.lists(data, data.first_query, data.n_sessions)
    has = np.array([[float(i in items) for i in range(4)] for items in HISTORIES])
    size = [max(len(set(items)), 1) for items in HISTORIES]
    weight = 1 / has.sum(axis=0) ** 0.4
    _, value, axes = np.linalg.svd(has * weight / np.sqrt(size)[:, None])
    between = axes[:2].T * np.sqrt(value[:2]) @ axes[:2]
    for asked, items, scores in zip(QUERIES, item, score, strict=True):
        shown = np.array([float(i in asked) for i in range(4)])
        wanted = (shown * weight) @ between / weight
        best = [i for i in np.argsort(-wanted)[:4] if wanted[i] > 1e-6]
        assert [i for i in items.tolist() if i >= 0] == best
        np.testing.assert_allclose(scores[: len(best)], wanted[best], rtol=1e-4)
        assert not scores[len(best) :].any()
    assert (item[0] == -1).all() and (item[3] == -1).all() and (item[1] >= 0).sum() > 1


@pytest.mark.parametrize("histories", [[[0], [1]], [[], []]])
def test_nothing_is_shared(tmp_path: Path, histories: list[list[int]]) -> None:
    data = split(tmp_path, histories, [[0], []])
    item, score = ROW.lists(data, data.first_query, data.n_sessions)
    assert item.shape == (2, 4) and (item == -1).all() and not score.any()
