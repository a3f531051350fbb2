"""The page of the tiny run, and what its sections are made from."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import run_in
from tiny import RECIPE

from src.report.contents import Contents


@pytest.fixture(scope="module")
def contents(first: Path) -> Contents:
    return Contents.load(run_in(first, RECIPE, "7_blend.py"))
