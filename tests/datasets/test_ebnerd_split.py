"""Step 1 on small files of EB-NeRD's form: splits, logs, labels, odd lists.

pytest tests/datasets/test_ebnerd_split.py
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import worlds
from ebnerd import EBNERD, RECIPE, START, WEEK, planted, prepare, row, write
from planted import run_in

from src.data.folds import all_folds
from src.data.units import DAY, HOUR

OLD, NEW = 100, 200


def epoch(second: int) -> int:
    """Seconds since 1970, as if START were UTC, which the files leave open."""
    return int((np.datetime64(START) - np.datetime64(0, "s")).astype(int)) // 10**6 + second


def read(folder: Path, *names: str) -> pl.DataFrame:
    return pl.read_parquet(folder.joinpath("out", *names).with_suffix(".parquet"))


def test_the_last_two_days_are_valid_without_a_validation_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", train=planted(300, 1), test=planted(50, 2, week=1, hidden=True))
    assert prepare(monkeypatch, tmp_path) == 0
    splits = {s["name"]: (s["role"], s["queries"]) for s in worlds.splits(tmp_path / "out")}
    assert splits["test"] == ("test", 50) and splits["valid"][1] + splits["train_1"][1] == 300
    valid, train = (read(tmp_path, name, "impressions")["ts"] for name in ("valid", "train_1"))
    cut = epoch(WEEK - 2 * DAY)
    assert train.max() < cut <= valid.min()  # type: ignore[operator]
    assert not (tmp_path / "out" / "test" / "labels.parquet").exists()


def test_a_validation_period_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in", train=planted(40, 1), validation=planted(30, 2, week=1))
    assert prepare(monkeypatch, tmp_path) == 0
    splits = {s["name"]: (s["role"], s["queries"]) for s in worlds.splits(tmp_path / "out")}
    assert splits == {"valid": ("valid", 30), "train_1": ("train", 40)}


def test_clicks_are_known_before_the_day_or_the_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", train=planted(300, 1), test=planted(50, 2, week=1, hidden=True))
    assert prepare(monkeypatch, tmp_path) == 0
    for name in ("valid", "test", "train_1"):
        rows = read(tmp_path, name, "impressions")
        late, first = rows["ts"] - rows["clicks_until"], rows["ts"].min()
        assert (late >= 0).all()
        assert (late < DAY).all() if name == "train_1" else (rows["clicks_until"] <= first).all()
    assert read(tmp_path, "train_1", "impressions")["clicks_until"].n_unique() == 5


def test_odd_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice in a list, no click, a click outside the list, an empty list, no list: all served."""
    second = WEEK - HOUR
    lists = [([OLD, NEW, OLD], [OLD]), ([OLD, NEW], []), ([OLD, NEW], [300]), ([], []),
             (None, None)]  # fmt: skip
    rows = [row(second + n, view, clicked) for n, (view, clicked) in enumerate(lists)]  # type: ignore[arg-type]
    write(tmp_path / "in", train=pl.DataFrame(rows, infer_schema_length=None))
    assert prepare(monkeypatch, tmp_path) == 0
    out = capsys.readouterr().out
    assert "without a click 3" in out and "clicks outside the list, left out 1" in out
    assert "empty lists 2" in out
    labels, items = read(tmp_path, "valid", "labels"), read(tmp_path, "items")["item_id"]
    found = [(s, items[i], g) for s, i, g in labels.select("session", "item", "grade").iter_rows()]
    assert found == [(0, OLD, 1), (0, NEW, 0), (1, OLD, 0), (1, NEW, 0), (2, OLD, 0), (2, NEW, 0)]
    assert read(tmp_path, "valid", "sessions")["session"].to_list() == [0, 1, 2, 3, 4]
    assert read(tmp_path, "shown").height == 6


def test_how_a_page_was_read_is_a_label_of_the_only_click(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 s and 100 % count; two clicks tell nothing of either page; the test week tells nothing."""
    cases = [([OLD], 30.0, 99.9), ([NEW], 29.9, 100.0), ([OLD, NEW], 90.0, 100.0),
             ([], 90.0, 100.0), ([OLD], None, None)]  # fmt: skip
    rows = [
        row(WEEK - HOUR + n, [OLD, NEW], clicked, next_read_time=time, next_scroll_percentage=share)
        for n, (clicked, time, share) in enumerate(cases)
    ]
    test = [row(WEEK + 5, [OLD], [OLD], next_read_time=90.0, next_scroll_percentage=100.0)]
    write(tmp_path / "in", train=pl.DataFrame(rows), test=pl.DataFrame(test))
    assert prepare(monkeypatch, tmp_path) == 0
    labels, items = read(tmp_path, "valid", "labels"), read(tmp_path, "items")["item_id"]
    second = labels.filter(pl.col("objective") > 0)
    found = [(s, o, items[i], g) for s, o, i, g in second.iter_rows()]
    assert found == [(0, 1, OLD, 1), (0, 2, OLD, 0), (1, 1, NEW, 0), (1, 2, NEW, 1)]
    assert labels.sort("session", "objective", "item").equals(labels)
    reads = read(tmp_path, "reads").filter(pl.col("ts") >= epoch(0))
    told = [(t - epoch(WEEK - HOUR), items[i], *rest) for t, i, _, *rest in reads.iter_rows()]
    assert told == [(0, OLD, 1, 0), (1, NEW, 0, 1)]


def test_reads_of_histories_end_before_the_first_impression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", train=planted(30, 1))
    path = tmp_path / "in" / "train" / "history.parquet"
    late = START + timedelta(days=3)
    pages = pl.read_parquet(path).with_columns(
        pl.col("impression_time_fixed").list.concat(pl.lit([late])),
        pl.col("article_id_fixed").list.concat(pl.lit([OLD], pl.List(pl.Int64))),
        read_time_fixed=pl.lit([45.0, 10.0, 45.0]),
        scroll_percentage_fixed=pl.lit([None, 100.0, 1.0]),
    )  # fmt: skip
    pages.write_parquet(path)
    assert prepare(monkeypatch, tmp_path) == 0
    reads = read(tmp_path, "reads")
    assert OLD not in read(tmp_path, "items")["item_id"][reads["item"]]
    before = reads.filter(pl.col("ts") < epoch(0))
    assert before.height == 2 * pages.height
    assert set(before.select("read", "scroll").iter_rows()) == {(1, None), (0, 1)}


def test_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicks of the test period are hidden even where the file has them; pages are visits."""
    train = [row(WEEK - 9, [OLD, NEW], [NEW], article_id=None, device_type=2, session_id=5),
             row(WEEK - 5, [OLD], [OLD], article_id=NEW, device_type=2, session_id=5)]  # fmt: skip
    test = [row(WEEK + 5, [NEW, OLD], [OLD], article_id=OLD, device_type=1, session_id=6)]
    write(tmp_path / "in", train=train, test=test)
    assert prepare(monkeypatch, tmp_path) == 0
    shown, items = read(tmp_path, "shown"), read(tmp_path, "items")["item_id"]
    assert items[shown["item"]].to_list() == [OLD, NEW, OLD, NEW, OLD]
    assert shown["click"].to_list() == [0, 1, 1, None, None]
    assert shown["visit"].to_list() == [0, 0, 0, 1, 1]
    assert shown["scene"].to_list() == [5, 5, 4, 2, 2], "device x front page"
    assert [None if p < 0 else items[p] for p in shown["page"]] == [None, None, NEW, OLD, OLD]
    visits = read(tmp_path, "visits")
    pages = [(ts - epoch(0), items[i]) for ts, i in visits.select("ts", "item").iter_rows()]
    assert pages == [(-108_000, 8_999_000), (-300, 8_999_900), (WEEK - 5, NEW), (WEEK + 5, OLD)]


def test_a_history_tells_nothing_of_the_training_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test period's histories hold what users read in the training period."""
    write(tmp_path / "in", train=planted(20, 1), test=planted(20, 2, week=1, hidden=True))
    path = tmp_path / "in" / "test" / "history.parquet"
    late = pl.read_parquet(path).with_columns(pl.col("impression_time_fixed").list.eval(
        pl.element() + pl.duration(days=4)))  # fmt: skip
    late.write_parquet(path)
    assert prepare(monkeypatch, tmp_path) == 0
    visits, first = read(tmp_path, "visits"), read(tmp_path, "shown")["ts"].min()
    old = read(tmp_path, "items")["item_id"].search_sorted([8_999_000, 8_999_900]).to_list()
    assert visits.filter(pl.col("item").is_in(old))["ts"].max() < first  # type: ignore[operator]


def test_users_stay_in_one_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in", train=planted(400, 1))
    assert prepare(monkeypatch, tmp_path) == 0
    users = read(tmp_path, "valid", "sessions")["user"]
    fold = all_folds(run_in(tmp_path / "out", RECIPE), "valid")
    by_user = pl.DataFrame({"user": users, "fold": fold}).group_by("user").n_unique()
    assert (by_user["fold"] == 1).all() and np.unique(fold).size == 4


def test_a_sample_is_of_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in", train=planted(400, 1))
    assert prepare(monkeypatch, tmp_path, "--sample", "0.5") == 0
    users = read(tmp_path, "valid", "sessions")["user"].n_unique()
    assert 5 < users < 25, "of 30"
    shown = read(tmp_path, "shown")
    assert shown["user"].n_unique() == 30, "what others are shown still counts"


def test_a_second_run_finds_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in", train=planted(60, 1), test=planted(20, 2, week=1, hidden=True))
    assert prepare(monkeypatch, tmp_path) == 0
    tables = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("**/*.parquet")}
    assert len(tables) > 15 and prepare(monkeypatch, tmp_path) == 0
    assert tables == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("**/*.parquet")}


def test_the_truth_of_a_file(tmp_path: Path) -> None:
    """An article that stands twice counts at its first place; a row without clicks does not."""
    rows = [row(1, [OLD, NEW, OLD], [OLD]), row(2, [OLD, NEW], None), row(3, [NEW, OLD], [NEW])]
    table = pl.from_dicts(rows, schema_overrides={"article_ids_clicked": pl.List(pl.Int64)})
    table.write_parquet(tmp_path / "behaviors.parquet")
    truth = EBNERD.read_ground_truth(tmp_path / "behaviors.parquet")
    assert truth.select("session", "item", "grade").rows() == [
        (0, OLD, 1), (0, NEW, 0), (2, NEW, 1), (2, OLD, 0)
    ]  # fmt: skip
    file = tmp_path / "predictions.txt"
    file.write_text("7 [2,1,3]\n7 [1,2]\n7 [2,1]\n")
    found = EBNERD.judged_items(file, truth)
    assert found.select("session", "item", "rank").sort("session", "rank").rows() == [
        (0, NEW, 0), (0, OLD, 1), (2, OLD, 0), (2, NEW, 1)
    ]  # fmt: skip
