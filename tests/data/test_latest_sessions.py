"""The latest sessions of each item, by hand.

pytest tests/data/test_latest_sessions.py
"""

from __future__ import annotations

from pathlib import Path

from planted import A, B, C, small_split

from src.data import events_kernel


def test_latest_sessions(tmp_path: Path) -> None:
    twice = [(A, 49, 0), (A, 49, 0), (B, 50, 0)]
    one_item = [[(A, 70, 0), (A, 71, 0)], [(A, 80, 0)], []]
    two = [[(A, 1, 0), (B, 50, 0)], twice, [(A, 60, 1), (C, 60, 0)], [(A, 1, 0), (C, 2, 0)]]
    data = small_split(tmp_path, [*two, *one_item], 1)
    s = data.sessions
    stats = events_kernel.session_stats(s.offsets, s.ts)
    second = events_kernel.second_items(s.offsets, s.item)
    assert (second - s.offsets[:-1]).tolist()[:4] == [1, 2, 1, 1] and (second[4:] == -1).all()
    starts, postings, count = events_kernel.latest_sessions(
        s.offsets, s.item, stats, second, s.n_items, 3
    )
    assert count.tolist() == [4, 2, 2, 0, 0]
    assert starts.tolist() == [0, 3, 5, 7, 7, 7]
    # by last time, the earlier session first; once each
    listed = [2, 0, 1, 0, 1, 2, 3]
    assert postings[:, events_kernel.BEGIN].tolist() == s.offsets[listed].tolist()
    assert postings[:, events_kernel.SIZE].tolist() == [2, 2, 3, 2, 3, 2, 2]
    assert postings[:, events_kernel.LAST].tolist() == [60, 50, 50, 50, 50, 60, 2]
