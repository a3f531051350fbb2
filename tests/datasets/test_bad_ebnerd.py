"""Wrong files of EB-NeRD's form: one line with file, row or column, and the cure.

pytest tests/datasets/test_bad_ebnerd.py
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from ebnerd import planted, prepare, write

GOOD = pl.DataFrame(planted(30, 1))
NOT_A_LIST = GOOD.with_columns(article_ids_inview=pl.lit(3))
TEXT_TIME = GOOD.with_columns(pl.col("impression_time").cast(pl.String))
FAR = GOOD.with_columns(impression_time=pl.datetime(2100, 1, 1))
TEXTS = GOOD.with_columns(article_ids_inview=pl.lit(["x"]))
HOLE = GOOD.with_columns(
    pl.col("article_ids_inview").list.concat(pl.lit([None], pl.List(pl.Int64)))
)


def without(name: str, row: int) -> pl.DataFrame:
    """The good table, without a value in one row."""
    here = pl.int_range(pl.len()) == row
    return GOOD.with_columns(pl.when(~here).then(pl.col(name)).alias(name))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (without("impression_time", 4), "behaviors.parquet, row 4: no impression_time; drop"),
        (without("user_id", 2), "behaviors.parquet, row 2: no user_id; drop"),
        (GOOD.drop("article_ids_inview"), "has no column article_ids_inview; give a file"),
        (GOOD.drop("article_ids_clicked"), "no article_ids_clicked; clicks are needed"),
        (NOT_A_LIST, "column article_ids_inview: Int32 is no list of articles"),
        (TEXT_TIME, "column impression_time: String is no time; give a datetime"),
        (HOLE, "row 0: an empty place in article_ids_inview; drop the place"),
        (GOOD.clear(), "holds no impressions; download it again"),
        (GOOD.with_columns(user_id=pl.lit("a")), "parquet, column user_id, row 0: String that is"),
        (FAR, "behaviors.parquet, column impression_time, row 0: Int64 that is no Int32; give"),
        (TEXTS, "column article_ids_inview: List(String) that is no List(Int64); give a file"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    table: pl.DataFrame, message: str,
) -> None:  # fmt: skip
    write(tmp_path / "in", train=table)
    assert prepare(monkeypatch, tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out" / "splits.json").exists()
    assert not list((tmp_path / "out").glob("**/.part-*")), "nothing half-written"


def test_no_folder_and_no_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(monkeypatch, tmp_path) == 2
    assert "no train/behaviors.parquet in" in capsys.readouterr().err
    write(tmp_path / "in", train=GOOD)
    (tmp_path / "in" / "train" / "behaviors.parquet").write_text("a,b\n")
    assert prepare(monkeypatch, tmp_path) == 2
    assert "is no parquet file; download it again" in capsys.readouterr().err


def test_a_history_of_other_lengths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", train=GOOD)
    path = tmp_path / "in" / "train" / "history.parquet"
    rows = pl.read_parquet(path).with_columns(pl.col("article_id_fixed").list.head(1))
    rows.write_parquet(path)
    assert prepare(monkeypatch, tmp_path) == 2
    assert "history.parquet, row 0: article_id_fixed and" in capsys.readouterr().err
