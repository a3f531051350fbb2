"""Lists by the scores of rankers.

pytest tests/rankers/test_evaluate.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from planted import BARE, run_in

from src.metrics.recall import Recall
from src.rankers import evaluate


def test_lists_are_the_first_k_of_each_query_by_score_then_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [
        [(0, 9, 1.0), (0, 4, 1.0), (0, 7, 3.0), (0, 2, 0.5), (2, 5, 1.0)],
        [(3, 8, 2.0), (3, 1, 2.0), (3, 6, 2.0)],
    ]
    files = [tmp_path / f"{n}.parquet" for n in range(len(tables))]
    for file, rows in zip(files, tables, strict=True):
        pl.DataFrame(rows, ["session", "item", "x"], orient="row").write_parquet(file)
    monkeypatch.setattr(evaluate, "shard_files", lambda *_: files)
    run = run_in(tmp_path, replace(BARE, metric=Recall(2)))
    found = evaluate._lists_by_score(run, "x").collect().sort("session", "rank")
    assert found.rows() == [(0, 7, 0), (0, 4, 1), (2, 5, 0), (3, 1, 0), (3, 6, 1)]
