"""Retrievers on logs of many years, and on items whose times are unknown.

pytest tests/candidates/test_any_log.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from plain_retrievers import lists
from planted import A, B, C, D, E, small_split, write_items

from src.candidates.new_items import NewItemRetriever
from src.candidates.popular import PopularRetriever


def test_popular_events_of_many_years(tmp_path: Path) -> None:
    """A second of many years has no counter of its own."""
    old, new = [(A, 10**8, 0), (B, 10**8 + 5, 0)], [(B, 2 * 10**9 - 5000, 0), (C, 2 * 10**9, 0)]
    data = small_split(tmp_path, [old, [(D, 10**9, 0)], new], 1)
    ever = PopularRetriever("ever", window_s=None, top=4).causal()
    assert lists(data, ever)[0].tolist() == [[B, A, D, -1]], "C is the query"
    assert lists(data, replace(ever, window_s=None))[0].tolist() == [[B, A, C, D]]


def test_cold_items_whose_times_are_unknown(tmp_path: Path) -> None:
    data = small_split(tmp_path, [[(D, 5, 0)], [(A, 10, 0)], []], 2)
    write_items(tmp_path, 5, {"kind": [1, 1, 2, 1, 1]})
    row = NewItemRetriever("cold", None, same="kind", unseen=True, top=3)
    item, score = row.lists(data, 1, 3)
    assert item.tolist() == [[B, E, -1], [-1, -1, -1]] and score[0].tolist() == [1, 1, 0]
