"""What several test files look at: the output of one undisturbed tiny run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import SHOP, run_steps
from worlds import ROOT

from src.core import code
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


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the sources that `code.version` reads instead of ours, to be changed."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))

    def inside(file: Path) -> Iterator[Path]:
        if file.is_relative_to(ROOT):
            yield tmp_path / file.relative_to(ROOT)

    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.setattr(code, "_inside", inside)
    code.clear()
    yield tmp_path
    code.clear()
