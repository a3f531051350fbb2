"""Step 1 on small files of AntM2C's form: splits by time, labels, the log, given columns.

pytest tests/datasets/test_antm2c_split.py
"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
import worlds
from antm2c import ANTM2C, START, planted, prepare, row, write

from src.data.units import DAY, HOUR
from src.datasets.antm2c.columns import COLUMNS, LABEL

EPOCH = int((START - START.fromisoformat("1970-01-01")).total_seconds())
VALID, TEST = EPOCH + 24 * DAY + 1, EPOCH + 26 * DAY + 1
UNLABELLED = [name for name in COLUMNS if name != LABEL]


def read(folder: Path, *names: str) -> pl.DataFrame:
    return pl.read_parquet(folder.joinpath("out", *names).with_suffix(".parquet"))


def sizes(folder: Path) -> dict[str, int]:
    return {split["name"]: split["queries"] for split in worlds.splits(folder / "out")}


def test_the_public_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last second of training belongs to it; so does that of validation."""
    times = ("2023/8/3 0:00", "2023-08-03 00:00:01", "2023-08-05 00:00:00", "2023-08-05 00:00:01")
    edges = [row(0, log_time=time) for time in times]
    write(tmp_path / "in" / "a.csv", planted(200, 1) + edges)
    assert prepare(monkeypatch, tmp_path) == 0
    of = {name: set(read(tmp_path, name, "sessions")["session"]) for name in sizes(tmp_path)}
    assert 200 in of["train_1"] and {201, 202} <= of["valid"] and 203 in of["test"]
    assert sum(map(len, of.values())) == 204
    for name in of:
        rows = read(tmp_path, name, "impressions")
        assert ((rows["ts"] % 60 == 0) & (rows["clicks_until"] % 60 == 0)).all(), "minutes alone"
        assert name == "train_1" or rows["clicks_until"].max() <= rows["ts"].min()
    assert (read(tmp_path, "shown")["ts"] % 60 == 0).all()


def test_shares_of_the_time_where_the_public_cuts_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in" / "a.csv", planted(300, 1, days=10))
    assert prepare(monkeypatch, tmp_path) == 0
    assert "from shares of the time  train until 2023-07-17" in capsys.readouterr().out
    assert all(n > 5 for n in sizes(tmp_path).values()) and len(sizes(tmp_path)) == 3


def test_a_test_file_is_the_whole_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows may have new ids and scenes, and lack labels; its times decide nothing."""
    hidden = [row(30 * 24, 9001, 9002, scene="new"), row(2), row(31 * 24, scene="")]
    write(tmp_path / "in" / "test.csv", hidden, UNLABELLED)
    write(tmp_path / "in" / "a.csv", planted(200, 1))
    assert prepare(monkeypatch, tmp_path) == 0
    found = sizes(tmp_path)
    assert found["test"] == 3 and found["valid"] + found["train_1"] == 200
    assert read(tmp_path, "test", "sessions")["session"].to_list() == [0, 1, 2], "numbered first"
    assert not (tmp_path / "out" / "test" / "labels.parquet").exists()
    assert read(tmp_path, "test", "impressions")["scene"].to_list() == [3, 1, 0]
    assert 9002 in read(tmp_path, "items")["item_id"].to_list()
    assert read(tmp_path, "valid", "impressions")["ts"].max() > TEST, "valid ends with the log"


def test_raw_rows_are_read_as_those_of_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of them a file has, without labels; what step 1 has not seen is unknown."""
    rows = planted(300, 1)
    write(tmp_path / "in" / "a.csv", rows)
    assert prepare(monkeypatch, tmp_path) == 0
    ids = [int(n) for n in read(tmp_path, "test", "sessions")["session"]]
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("items", "raw/users", "raw/categories", "raw/clicks_until"):
        shutil.copy((tmp_path / "out" / name).with_suffix(".parquet"), logs)
    for first in (0, 7):
        raw = write(tmp_path / "raw.csv", [rows[n] for n in ids[first:]], UNLABELLED)
        lists = ANTM2C.read_raw(raw, logs)
        assert lists.impressions.equals(read(tmp_path, "test", "impressions")[first:])
        assert lists.given is not None and len(lists.keys) == len(lists.item) == len(ids) - first
        given = lists.given.with_columns(pl.col("session") + first)
        assert given.equals(read(tmp_path, "test", "given")[first:])
    new = row(900, 9001, 9002, scene="new", deep_features_0="new")
    lists = ANTM2C.read_raw(write(tmp_path / "raw.csv", [new]), logs)
    assert lists.impressions["user", "scene"].row(0) == (-1, 0) and lists.item.tolist() == [-1]
    assert lists.given is not None and lists.given["deep_features_0"].item() == 0
    bad = write(tmp_path / "raw.csv", [new, new | {"log_time": "noon"}])
    with pytest.raises(ValueError, match=r"line 3: log_time is 'noon', .*; mend or drop the row"):
        ANTM2C.read_raw(bad, logs)


def test_clicks_of_the_test_are_hidden_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in" / "a.csv", planted(300, 1))
    assert prepare(monkeypatch, tmp_path) == 0
    log = read(tmp_path, "shown")
    assert log["ts"].is_sorted() and log.height == 300
    assert log.filter(pl.col("ts") >= TEST)["click"].is_null().all()
    assert log.filter(pl.col("ts") < TEST)["click"].is_not_null().all()
    assert read(tmp_path, "test", "labels").height == sizes(tmp_path)["test"], "for make score"


def test_clicks_are_known_before_the_split_or_the_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stretch of train_1 is as long as valid, so its clicks are as late."""
    write(tmp_path / "in" / "a.csv", planted(300, 1))
    assert prepare(monkeypatch, tmp_path) == 0
    for name, start in (("valid", VALID), ("test", TEST)):
        assert set(read(tmp_path, name, "impressions")["clicks_until"]) == {start // 60 * 60}
    rows = read(tmp_path, "train_1", "impressions")
    late = rows["ts"] - rows["clicks_until"]
    assert late.min() >= 0 and late.max() < 2 * DAY  # type: ignore[operator]
    assert ((VALID // 60 * 60 - rows["clicks_until"]) % (2 * DAY) == 0).all()


def test_given_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes of categories are from 1 in the order of the values; common words are counted once."""
    odd = row(1, bill_entity_seq="车,险,车", query_entity_seq="险,房", scene="",
              item_entity_names="险,车,票", deep_features_0="b", deep_features_14="2.5",
              deep_features_19="x")  # fmt: skip
    rows = planted(200, 1)
    for made in rows:
        made["deep_features_0"] = "a"
    write(tmp_path / "in" / "a.csv", [odd, *rows])
    assert prepare(monkeypatch, tmp_path) == 0
    table = read(tmp_path, "train_1", "given")
    first = table.row(0, named=True)
    assert (first["deep_features_0"], table["deep_features_0"][1]) == (2, 1)
    assert first["deep_features_14"] == 2.5 and first["deep_features_19"] is None
    assert first["deep_features_1"] == 0, "no value"
    words = {name: first[f"{name}_words"] for name in ("bill_entity_seq", "service_entity_seq")}
    assert words == {"bill_entity_seq": 2, "service_entity_seq": 0}
    assert (first["bill_entity_seq_common"], first["query_entity_seq_common"]) == (2, 1)
    context = read(tmp_path, "train_1", "impressions").row(0, named=True)
    assert (context["scene"], context["hour"], context["ts"]) == (0, 1, EPOCH + HOUR)


def test_a_sample_keeps_whole_users_and_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in" / "a.csv", planted(300, 1))
    assert prepare(monkeypatch, tmp_path, "--sample", "0.4") == 0
    users = [set(read(tmp_path, name, "sessions")["user"]) for name in ("train_1", "valid")]
    assert 10 < len(users[0] | users[1]) < 40
    log = read(tmp_path, "shown")
    assert log.height == 300, "what others were shown still counts"
