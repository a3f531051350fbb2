"""Raw files of single impressions that tasks of Spark read: tables and messages are the CPU's.

pytest tests/spark/datasets
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from antm2c import planted, row, small_blocks, write
from planted import run_in

from src.core.engines import CpuEngine, Engine, SparkEngine
from src.datasets.antm2c import raw_parts
from src.datasets.antm2c.files import QUARANTINE, write_quarantine
from src.datasets.antm2c.row_blocks import line_blocks

ODD = [
    row(1, 1, item_title='车,"险"'),
    row(2, 2, item_title="一\n" * 350),  # a block of lines ends in its quotes
    "1,2,3",
    row(4, 4, click="maybe"),
    *planted(40, 1),
    '9,"a\n\nb",4',
    row(5, 5, log_time="2023-02-30 10:00:00"),
    *planted(40, 2),
    'x,"a quote that does not end',
    row(6, 6),
]


def read(folder: Path, engine: Engine) -> tuple[str, dict[str, bytes]]:
    """The counts or the fault of the files of folder/in, and all tables that are read from them."""
    run = replace(run_in(folder / engine.name, engine=engine), input=folder / "in")
    try:
        files = raw_parts.read_files(run)
        said = str(write_quarantine(run, files, 1.0))
    except ValueError as error:
        said = str(error)
    found = (path for path in run.output.rglob("*") if path.suffix in (".parquet", ".csv"))
    return said, {path.relative_to(run.output).as_posix(): path.read_bytes() for path in found}


def test_rows_and_quarantine(
    tmp_path: Path, spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that blocks would cut, of a wrong form, of both time formats, in two files."""
    small_blocks(monkeypatch, 1500)
    write(tmp_path / "in" / "a.csv", ODD)
    write(tmp_path / "in" / "test.csv", planted(60, 3))
    (said, tables), of_cpu = (read(tmp_path, engine) for engine in (spark, CpuEngine(1)))
    assert said == of_cpu[0] == "{'rows': 147, 'quarantined': 5}"
    assert tables == of_cpu[1]
    first = pl.read_parquet(tmp_path / "spark" / "raw" / "blocks-a.parquet")["first"].to_list()
    assert len(first) > 5 and set(first) - {b.first for b in line_blocks(tmp_path / "in" / "a.csv")}
    bad = pl.read_csv(tmp_path / "spark" / QUARANTINE)
    assert bad["line"].to_list() == [354, 355, 396, 399, 440]


def test_a_fault_has_the_message_of_the_cpu(
    tmp_path: Path, spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch, 500)
    write(tmp_path / "in" / "a.csv", [*planted(20, 1), '1,"', *map(row, range(50))])
    (said, tables), of_cpu = (read(tmp_path, engine) for engine in (spark, CpuEngine(1)))
    assert said == of_cpu[0] and "a.csv, line 22: a row of more than 500 bytes" in said
    assert not tables and not of_cpu[1], "nothing half-written"
