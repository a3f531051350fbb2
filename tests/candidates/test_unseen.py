"""Lists without the items of the query's own history.

pytest tests/candidates/test_unseen.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from planted import BARE, A, B, C, D, E, history, planted_split, small_split
from test_retrievers import EVERY, OWN

from src.candidates.base import Retriever
from src.candidates.lists import write_candidates
from src.candidates.popular import PopularRetriever
from src.candidates.unseen import unseen_lists
from src.data.split_data import SplitData


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SplitData:
    return planted_split(tmp_path_factory.mktemp("split"))


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.name)
def test_lists_are_those_of_a_longer_row_without_seen_items(
    data: SplitData, row: Retriever
) -> None:
    first, end = data.first_query, data.first_query + 20
    item, score = unseen_lists(row, data, first, end)
    whole = replace(row, top=data.n_items).lists(data, first, end)
    for q in range(end - first):
        seen = {event[0] for event in history(data, first + q)}
        wanted = [(y, s) for y, s in zip(*(x[q].tolist() for x in whole), strict=True)
                  if y >= 0 and y not in seen][: row.length]  # fmt: skip
        n = len(wanted)
        assert list(zip(item[q].tolist(), score[q].tolist(), strict=True))[:n] == wanted
        assert (item[q, n:] == -1).all() and (score[q, n:] == 0).all()
    assert item.shape == (20, row.length) and (row in OWN) == (item < 0).all()


def test_ranges_of_queries_change_nothing(data: SplitData) -> None:
    first, middle, end = data.first_query, data.first_query + 3, data.n_sessions
    for row in EVERY:
        whole = unseen_lists(row, data, first, end)
        parts = unseen_lists(row, data, first, middle), unseen_lists(row, data, middle, end)
        for both, a, b in zip(whole, *parts, strict=True):
            assert both.tolist() == [*a.tolist(), *b.tolist()], row.name


def test_a_history_of_every_item_leaves_nothing(tmp_path: Path) -> None:
    everything = [(item, 10 + item, 0) for item in (A, B, C, D, E)]
    data = small_split(tmp_path, [everything, everything, [(A, 50, 0)], []], 3)
    item, score = unseen_lists(PopularRetriever("all", window_s=None, top=3), data, 1, 4)
    assert item.tolist() == [[-1, -1, -1], [B, C, D], [A, B, C]]
    assert score.tolist() == [[0, 0, 0], [2000, 2000, 2000], [3000, 2000, 2000]]


def test_recipe_or_row_decide(tmp_path: Path) -> None:
    data = small_split(tmp_path, [[(A, 10, 0), (B, 11, 0)], [(A, 20, 0)]], 1, recipe=BARE)
    row = PopularRetriever("all", window_s=None, top=2)

    def written(of_recipe: bool, of_row: bool) -> list[int]:
        run = replace(data.run, recipe=replace(BARE, exclude_seen=of_recipe))
        own = replace(row, exclude_seen=of_row)
        assert write_candidates(SplitData(run, "valid"), own)["built"] == 1, "made anew"
        part = tmp_path / "valid" / "candidates" / "all" / "part-0000.parquet"
        return pl.read_parquet(part)["item"].to_list()

    assert written(False, False) == [A, B]
    assert written(True, False) == [B]
    assert written(False, True) == [B]
