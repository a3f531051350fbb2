"""Runs that go on: after a kill, with other shards, on other threads, with nothing to do.

pytest tests/pipeline/test_resume.py
"""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import polars as pl
import pytest
from results import same_results, stamps
from tiny import RECIPE, STEPS, run_alone, run_steps

from src.data import shards

pytestmark = pytest.mark.slow


def test_a_second_run_builds_nothing(source, copy, first):
    before, start = stamps(copy), time.perf_counter()
    assert run_steps(source, copy) == 0
    assert stamps(copy) == before
    assert time.perf_counter() - start < 15  # 3 s when this was written
    same_results(copy, first)


def test_one_thread_gives_the_same_bytes(source, first, tmp_path):
    assert run_alone(tmp_path, source, tmp_path / "out") == 0
    same_results(tmp_path / "out", first)


def test_shards_do_not_matter(source, copy, first, monkeypatch):
    monkeypatch.setattr(shards, "QUERIES_PER_SHARD", 100)
    lists = [f"candidates/{row.name}" for row in RECIPE.retrievers]
    folders = [f"valid/{name}" for name in (*lists, "pool", "train")]
    for folder in folders:  # their keys know the code, and so the real number of queries
        shutil.rmtree(copy / folder)
    assert run_steps(source, copy, STEPS[2:5]) == 0
    for folder in folders:
        parts = sorted((copy / folder).glob("part-*.parquet"))
        assert len(parts) == 3
        whole = pl.read_parquet(first / folder / "part-0000.parquet")
        assert pl.concat(map(pl.read_parquet, parts)).equals(whole), folder


KILLS = ("test/matrices/near3.parquet", "valid/pool/part-0000.parquet.json",
         "models/logistic/orders/fold_2.ubj")  # fmt: skip


def test_killed_three_times_it_goes_on(source, first, tmp_path):
    """Killed with a file whole but unnamed, or named but without its manifest."""
    out, before = tmp_path / "out", {}
    for at in KILLS:
        assert run_alone(tmp_path, source, out, at) == -signal.SIGKILL
        assert (out / at).with_name(f".part-{Path(at).name}").exists()
        assert before.items() <= stamps(out).items()  # what was whole is not made again
        before = {k: v for k, v in stamps(out).items() if ".part-" not in k and k + ".json" != at}
    assert run_steps(source, out) == 0
    same_results(out, first)
