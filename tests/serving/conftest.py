"""The tiny run, loaded to answer queries, and served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from planted import run_in
from served import Server
from tiny import RECIPE

from src.serving.recommender import Recommender


@pytest.fixture(scope="module")
def recommender(first: Path) -> Recommender:
    """Answers by the split of the submission: `test`."""
    return Recommender(run_in(first, RECIPE, "ask.py"))


@pytest.fixture(scope="module")
def server(recommender: Recommender) -> Iterator[Server]:
    server = Server(recommender)
    yield server
    server.stop()
