"""The census bench on tiny files: what is read, what is no input, and the table.

pytest tests/rankers/test_bench_census.py
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench import census, measure
from bench.census_data import COLLEGE, LABELS, NAMES, NUMBERS, PAIRS, Census, read

ROWS = 400


def fields(seed: int, quote: str, missing: str) -> str:
    """Rows of a file of the census; both tasks follow the age."""
    rng, lines = np.random.default_rng(seed), []
    for _ in range(ROWS):
        age = int(rng.integers(16, 80))
        row = dict.fromkeys(NAMES, f"{quote} Not in universe{quote}")
        row |= {name: str(int(rng.integers(0, 3))) for name in NUMBERS} | {"age": str(age)}
        row["state"] = missing if rng.random() < 0.3 else f"{quote} Utah{quote}"
        old = age + 10 * rng.normal()
        row["marital"] = f"{quote} {'Never married' if old < 40 else 'Divorced'}{quote}"
        row["education"] = f"{quote} {COLLEGE[3] if old > 50 else 'Children'}{quote}"
        row["income"] = f"{quote} {'50000+.' if old > 60 else '- 50000.'}{quote}"
        row["instance_weight"] = "1700.09"
        lines.append((", " if not quote else ",").join(row.values()))
    return "\n".join(lines)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "census-income.data.gz").write_bytes(gzip.compress(fields(0, "'", "").encode()))
    (tmp_path / "census-income.test").write_text(fields(1, "", "?"))
    return tmp_path


def test_both_files_are_read_alike_and_labels_are_no_inputs(folder: Path) -> None:
    train = read(folder, "census-income.data", "'")
    test = read(folder, "census-income.test", None)
    for table in (train, test):
        assert set(table["state"].unique()) == {None, "Utah"}
        assert set(table["income"].unique()) == {"50000+.", "- 50000."}
        assert 0 < table.select(LABELS["college"]).to_series().mean() < 0.6
    for tasks in PAIRS:
        pair = Census.of(train, test, tasks, folder / "table.parquet")
        assert pair.X.shape == (ROWS, len(pair.columns)) and pair.label.shape == (ROWS, 2)
        wanted = {"instance_weight", "income", "marital" if "never" in tasks[1] else "education"}
        assert {*NAMES} - {*pair.columns} == wanted
        states = pair.X[:, pair.columns.index("state")]
        assert (np.unique(states) == [1, 2]).all(), "missing, and the one state"
        assert pair.train_set(tasks).grades().shape == (ROWS, 2)


def test_the_table_pairs_seeds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(census, "BATCH", 16)
    monkeypatch.setattr(measure, "append_table", lambda title, table: print(title, table))
    command = ["--input", str(folder), "--output", str(folder / "out"), "--seeds", "2", "--only"]
    names = ["mmoe", "logistic regression", "lightgbm"]
    assert census.main([*command, *names]) == 0
    lines = pl.read_csv(folder / "out" / "census.csv")
    assert lines.height == 2 * 2 * 4 and lines["first"].min() > 0.8
    mmoe, single = (
        lines.filter(tasks="income+college", model=name).sort("seed")["second"].to_numpy()
        for name in ("mmoe", "single")
    )
    assert f"{(mmoe - single).mean():+.4f}" in capsys.readouterr().out
    assert census.main([*command, "mmoe"]) == 0
    assert pl.read_csv(folder / "out" / "census.csv").equals(lines), "nothing is trained again"


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has neither census-income.data nor"):
        read(tmp_path, "census-income.data", "'")
    (tmp_path / "census-income.data").write_text("1,2\n")
    with pytest.raises(ValueError, match=r"census-income.data has 2 columns, not 42"):
        read(tmp_path, "census-income.data", "'")
