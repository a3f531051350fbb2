"""Splits of a log with --causal.

pytest tests/datasets/test_interactions_deployed.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import interactions as log
import polars as pl
import pytest
import worlds
from interactions import DAY, T0

from src.datasets import DATASETS


@pytest.mark.parametrize("role", ["train", "tuning"])
def test_as_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """Sessions of a window have a history of the events before it, and rows may be tuned."""
    enough = 20_000 if role == "train" else 0
    few = replace(DATASETS["interactions"].recipe, split_days=3.0, min_train_queries=enough)
    monkeypatch.setattr("src.datasets.interactions.dataset.recipe_of", lambda *_: few)
    rows = [(f"s{n}", f"i{n % 9 + k}", T0 + n * DAY // 20 + k) for n in range(400) for k in (0, 1)]
    log.write(tmp_path, log.csv(rows, "session,item,time"))
    assert log.prepare(tmp_path, "--split", "time:3d", "--causal") == 0
    roles = {split["name"]: split["role"] for split in worlds.splits(tmp_path / "out")}
    assert roles["train_1"] == role and roles["valid_history"] == "history"
    since = next(s["since"] for s in worlds.splits(tmp_path / "out") if s["name"] == "valid")
    times = pl.read_parquet(tmp_path / "out" / "valid_history" / "events.parquet")["ts"]
    assert times.len() > 100 and times.max() < since
