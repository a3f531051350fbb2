"""Data of a split: no longer in memory, or mapped, than its reader.

pytest tests/data/test_split_data.py
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from planted import BARE, planted_split

from src.data.split_data import SplitData


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_it_is_freed_with_its_last_reader(tmp_path: Path) -> None:
    planted = planted_split(tmp_path, BARE)
    data = SplitData(planted.run, planted.split)
    assert data.fitted.sessions.n_items == data.counted.n_items == data.n_items
    assert data.fitted is data and data.counted is data
    freed = weakref.ref(data)
    del data
    assert freed() is None


def test_another_split_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted_split(tmp_path, BARE)
    monkeypatch.setattr("src.data.split_data.fitted_split", lambda run, split: "train_1")
    monkeypatch.setattr(
        SplitData, "__init__", lambda self, run, split: setattr(self, "split", split)
    )
    assert data.fitted is data.fitted and data.fitted.split == "train_1"
