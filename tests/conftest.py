"""What several test files look at: the output of one undisturbed tiny run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny import SHOP, run_steps

from src.datasets.demo import simulate


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    simulate.write(SHOP, folder)
    return folder


@pytest.fixture(scope="session")
def first(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one undisturbed run: look, don't touch."""
    out = tmp_path_factory.mktemp("first") / "out"
    assert run_steps(source, out) == 0
    return out


@pytest.fixture
def copy(first: Path, tmp_path: Path) -> Path:
    """An output folder to change."""
    shutil.copytree(first, tmp_path / "copy")
    return tmp_path / "copy"
