"""PureSVD against a dense decomposition.

pytest tests/candidates/test_svd.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import BARE, small_split

from src.candidates.popular import PopularRetriever
from src.candidates.svd import SvdRetriever
from src.candidates.text_knn import TextKnnRetriever
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


def test_a_list_stands_for_the_items_of_the_query(tmp_path: Path) -> None:
    """Of two popular items, the second weighs less: by its score, and nobody's history counts."""
    data = split(tmp_path, HISTORIES, QUERIES)
    popular = PopularRetriever("", window_s=None, top=2)
    first, score = popular.lists(data, data.first_query, data.n_sessions)
    found = replace(ROW, start=popular).lists(data, data.first_query, data.n_sessions)
    alone = [ROW.lists(split(tmp_path / str(i), HISTORIES, [[i]]), 9, 10) for i in first[0]]
    dense = [np.zeros(5), np.zeros(5)]
    for of_item, (items, scores) in zip(dense, alone, strict=True):
        of_item[items[items >= 0]] = scores[items >= 0]
    wanted = score[0, 0] * dense[0] + score[0, 1] * dense[1]
    for items, scores in zip(*found, strict=True):
        both = [i for i in items.tolist() if i >= 0 and dense[0][i] and dense[1][i]]
        assert len(both) > 1 and score[0, 0] > score[0, 1]
        np.testing.assert_allclose(scores[: len(both)], wanted[both], rtol=1e-4)


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    run = split(tmp_path, HISTORIES, QUERIES).run
    start = TextKnnRetriever("", "exact")
    assert replace(ROW, start=start).inputs(run, "valid") == start.inputs(run, "valid")
    with pytest.raises(ValueError, match="kind is one of"):
        replace(BARE, retrievers=(replace(ROW, start=replace(start, kind="sound")),))
    for wrong in ({"factors": 0}, {"min_sessions": 0}):
        with pytest.raises(ValueError, match="s is at least 1, not 0"):
            replace(ROW, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("histories", [[[0], [1]], [[], []]])
def test_nothing_is_shared(tmp_path: Path, histories: list[list[int]]) -> None:
    data = split(tmp_path, histories, [[0], []])
    item, score = ROW.lists(data, data.first_query, data.n_sessions)
    assert item.shape == (2, 4) and (item == -1).all() and not score.any()
