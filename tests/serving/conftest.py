"""The tiny run, loaded to answer queries."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import run_in
from tiny import RECIPE

from src.serving.recommender import Recommender


@pytest.fixture(scope="module")
def recommender(first: Path) -> Recommender:
    """Answers by the split of the submission: `test`."""
    return Recommender(run_in(first, RECIPE, "ask.py"))
