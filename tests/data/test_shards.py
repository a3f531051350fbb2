"""Shards come in turn, and batches cover a range.

pytest tests/data/test_shards.py
"""

from __future__ import annotations

import time

import pytest

from src.data.shards import Shard, batches, in_turn


def test_shards_come_in_turn_and_end_with_the_first_error() -> None:
    begun: list[int] = []

    def make(shard: Shard) -> int:
        begun.append(shard.number)
        time.sleep(0.02 * (shard.number == 0))  # the second is done before the first
        if shard.number == 3:
            raise ValueError("no room")
        return shard.end

    shards = [Shard(i, i, i + 1) for i in range(9)]
    assert list(in_turn(make, shards[:3])) == [1, 2, 3]
    assert list(in_turn(make, [])) == []
    begun.clear()
    results = in_turn(make, shards)
    assert [next(results) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="no room"):
        next(results)
    assert sorted(begun) == [0, 1, 2, 3, 4]


def test_batches_cover_a_range() -> None:
    assert batches(10, 34, 11) == [(10, 21), (21, 32), (32, 34)]
    assert batches(5, 5, 3) == []
