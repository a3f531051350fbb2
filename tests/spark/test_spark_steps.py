"""A tiny run on Spark: every file and message is that of the CPU.

pytest tests/spark/test_spark_steps.py
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tiny import STEPS, run_steps

from src.core import text_blocks
from src.core.engines import SparkEngine

SPLITS, TABLES = ("valid", "train_1"), ("sessions", "events", "labels")
SMALL = 100_000  # bytes of a block, so that the tiny files have several


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch, spark: SparkEngine) -> None:
    from src.spark.datasets.otto import raw

    monkeypatch.setattr(text_blocks, "READ", 4096)
    monkeypatch.setattr(raw, "BLOCK", SMALL)


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks")
def test_a_run_on_spark_writes_the_bytes_of_the_cpu(
    source: Path, first: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run_steps(source, out, engine="spark") == 0
    assert len(list((out / "raw").glob("train-*.parquet"))) > 5
    for table in ("items", *(f"{split}/{name}" for split in SPLITS for name in TABLES)):
        got, want = (pl.read_parquet(folder / f"{table}.parquet") for folder in (out, first))
        assert_frame_equal(got, want)  # row groups are those of the blocks
    files = [
        file
        for name in ("matrices/*", "candidates/*/*", "scores/*")
        for file in first.glob(f"*/{name}.parquet")
    ]
    assert len(files) > 30
    for file in [*files, first / "submission.csv"]:
        assert (out / file.relative_to(first)).read_bytes() == file.read_bytes(), file
    assert not list(out.rglob(".part-*"))


@pytest.mark.usefixtures("small_blocks")
def test_the_first_fault_of_a_file_is_reported(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    raw, said = tmp_path / "raw", []
    raw.mkdir()
    lines = (source / "train.jsonl").read_text().splitlines()
    lines[700], lines[1400] = lines[700].replace("aid", "item"), "{"
    (raw / "train.jsonl").write_text("\n".join(lines))
    for engine in ("cpu", "spark"):
        assert run_steps(raw, tmp_path / engine, STEPS[:1], engine=engine) == 2
        said.append(capfd.readouterr().err.splitlines()[-1])
    assert said[0] == said[1] and "train.jsonl, line 701: " in said[0]
    assert not list((tmp_path / "spark").rglob(".part-*"))
