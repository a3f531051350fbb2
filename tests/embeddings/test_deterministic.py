"""Batches made by a thread: in order, one ahead, one at a time.

pytest tests/embeddings/test_deterministic.py
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from src.embeddings.deterministic import made_ahead


def test_batches_are_made_one_at_a_time_so_draws_keep_their_order() -> None:
    """More threads than batches stand ready, and the first batch takes the longest to make."""
    rng = np.random.default_rng(1)

    def make(number: int) -> tuple[int, int]:
        time.sleep(0.02 if number == 0 else 0)
        return number, int(rng.integers(10**9))

    with ThreadPoolExecutor(8) as pool:
        made = list(made_ahead(pool, make, range(20)))
    draws = np.random.default_rng(1).integers(10**9, size=20).tolist()
    assert made == list(enumerate(draws))


def test_the_next_batch_is_made_while_one_is_trained_on_and_no_other() -> None:
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    with ThreadPoolExecutor(2) as pool:
        for number in made_ahead(pool, make, range(4)):
            wanted = list(range(min(number + 2, 4)))
            while len(made) < len(wanted):  # trains on the batch
                time.sleep(0.01)
            assert made == wanted


def test_an_error_reaches_the_caller_and_no_source_is_no_batch() -> None:
    def fail(number: int) -> int:
        raise ValueError(f"batch {number}")

    with ThreadPoolExecutor(2) as pool:
        assert not list(made_ahead(pool, fail, []))
        with pytest.raises(ValueError, match="batch 0"):
            list(made_ahead(pool, fail, range(3)))
