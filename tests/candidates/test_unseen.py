"""Lists of a recipe that wants unseen items only.

pytest tests/candidates/test_unseen.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import BARE, A, B, C, D, E, planted_split, small_split

from src.candidates.base import Retriever
from src.candidates.item_to_item import ItemToItemRetriever
from src.candidates.lists import candidate_files, write_candidates
from src.candidates.popular import PopularRetriever
from src.candidates.seeds import Seeds
from src.candidates.session_knn import SessionKnnRetriever
from src.candidates.unseen import unseen_lists
from src.data.split_data import SplitData

UNSEEN = replace(BARE, unseen=True)
ROWS: list[Retriever] = [
    ItemToItemRetriever("near", "near", Seeds(decay=1.0), top=8),
    SessionKnnRetriever("users", neighbours=20, top=8),
    PopularRetriever("popular", top=8),
]


def seen(data: SplitData, query: int) -> set[int]:
    s = data.sessions
    return set(s.item[s.offsets[query] : s.offsets[query + 1]].tolist())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_list_is_the_longest_list_without_seen_items(tmp_path: Path, row: Retriever) -> None:
    data = planted_split(tmp_path, UNSEEN)
    first, end = data.first_query + 3, data.n_sessions
    item, score = unseen_lists(data, row, first, end)
    all_item, all_score = replace(row, top=data.n_items).lists(data, first, end)  # type: ignore[call-arg]
    n_cut = 0
    for q in range(end - first):
        pairs = [
            pair
            for pair in zip(all_item[q].tolist(), all_score[q].tolist(), strict=True)
            if pair[0] >= 0 and pair[0] not in seen(data, first + q)
        ]
        wanted = pairs[: row.length] + [(-1, 0.0)] * (row.length - len(pairs))
        assert list(zip(item[q].tolist(), score[q].tolist(), strict=True)) == wanted
        n_cut += len(pairs) > row.length
    assert n_cut >= 5, "lists are full although their heads were seen"


def test_other_recipes_keep_seen_items(tmp_path: Path) -> None:
    data = planted_split(tmp_path)
    for mine, wanted in zip(
        unseen_lists(data, ROWS[0], data.first_query, data.n_sessions),
        ROWS[0].lists(data, data.first_query, data.n_sessions),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, wanted)


def test_step_3_writes_lists_without_seen_items(tmp_path: Path) -> None:
    """The first query has seen the two most popular items, the second none, the third all."""
    history = [[(A, 0, 0), (B, 1, 0)], [(A, 2, 0), (C, 3, 0)], [(B, 4, 0), (D, 5, 0)]]
    queries = [[(A, 10, 0), (B, 11, 0)], [], [(A, 12, 0), (B, 12, 0), (C, 12, 0), (D, 12, 0),
                                              (E, 12, 0)]]  # fmt: skip
    popular = PopularRetriever("popular", bucket_s=1, top=2)
    recipe = replace(UNSEEN, retrievers=(popular,))
    data = small_split(tmp_path, [*history, *queries], 3, recipe=recipe)
    write_candidates(data, popular)
    table = pl.read_parquet(candidate_files(data.run, "valid", [popular]))
    found = {(s, r): y for s, r, y in table.select("session", "rank", "item").rows()}
    assert found == {(3, 0): C, (3, 1): D, (4, 0): A, (4, 1): B}
