"""Coverage and novelty by hand.

pytest tests/metrics/test_catalogue.py
"""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from src.metrics.catalogue import coverage, novelty

LISTED = np.array([3, 0, 1, 0])  # the first item is in three lists


def test_coverage_is_the_share_of_items_in_a_list() -> None:
    assert coverage(LISTED) == 2 / 4
    assert coverage(np.zeros(4, np.int64)) == coverage(np.empty(0, np.int64)) == 0


def test_novelty_is_the_mean_information_of_what_is_listed() -> None:
    """Shares of 10 events, one more for each item: 8, 2, 1 and 3 of 14."""
    events = np.array([7, 1, 0, 2])
    assert novelty(LISTED, events) == pytest.approx((3 * log2(14 / 8) + log2(14 / 1)) / 4)
    rare, popular = np.array([0, 0, 1, 0]), np.array([1, 0, 0, 0])
    assert novelty(rare, events) > novelty(popular, events) > 0
    assert novelty(np.zeros(4, np.int64), events) == 0
