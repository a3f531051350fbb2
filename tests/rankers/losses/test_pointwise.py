"""BCE and squared error by hand.

pytest tests/rankers/losses/test_pointwise.py
"""

from __future__ import annotations

import math

import pytest
import torch
from ragged import offsets_of

from src.rankers.losses.pointwise import BCE, SquaredError

SCORES, GRADES = torch.tensor([0.0, 2.0, -1.0]), torch.tensor([1.0, 4.0, 0.0])


def test_bce_by_hand() -> None:
    """A mean within each list, then over the lists: a long list weighs as much as a short one."""
    relevant = -math.log(1 / 2), math.log1p(math.exp(-2)), math.log1p(math.exp(-1))
    wanted = (relevant[0] + (relevant[1] + relevant[2]) / 2) / 2
    assert BCE()(SCORES, GRADES, offsets_of([1, 2])).item() == pytest.approx(wanted)


def test_a_grade_at_the_threshold_is_not_relevant() -> None:
    value = BCE(threshold=1.0)(SCORES[:1] + 3, GRADES[:1], offsets_of([1])).item()
    assert value == pytest.approx(math.log1p(math.exp(3)))


def test_squared_error_by_hand() -> None:
    value = SquaredError()(SCORES, GRADES, offsets_of([1, 2])).item()
    assert value == pytest.approx((1 + (4 + 1) / 2) / 2)
