"""Step 1 and the recipe of AntM2C: no feature knows its own label, its minute, or what is later.

pytest tests/features/test_antm2c_leaks.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from antm2c import ANTM2C, RECIPE, Row, planted, write
from planted import run_in

from src.candidates.pool import given_pool
from src.data.impressions import impressions
from src.data.shards import Shard
from src.data.split_data import SplitData
from src.data.splits import read_splits
from src.data.units import DAY
from src.datasets.antm2c.columns import LABEL
from src.features.table import FeatureTable

TAG = "deep_features_22"
"""Says which row it is: a number, so it is copied as it is."""
ROWS, FIRST_DAY = 260, 60


def log(seed: int) -> list[Row]:
    """Rows of few users, items and minutes, in the order of time; the first day has all values."""
    rows, rng = planted(ROWS, seed), np.random.default_rng(seed)
    hours = np.sort(rng.integers(1, 92, ROWS)) * 8  # a third of a day apart, up to 10 August
    hours[:FIRST_DAY] = 0
    start = np.datetime64("2023-07-10T00:00")
    for n, row in enumerate(rows):
        time = str(start + np.timedelta64(int(hours[n]), "h")).replace("T", " ") + ":00"
        row |= {TAG: f"{n}", "log_time": time, "user_id": f"{n % 7}", "item_id": f"{n % 5}"}
    return rows


def features(folder: Path, rows: list[Row]) -> pl.DataFrame:
    """Run step 1, and compute the features of all rows: split, ts and the columns, by TAG."""
    write(folder / "in" / "a.csv", rows)
    run = run_in(folder / "out", RECIPE, "1_preparation.py", input=folder / "in", dataset=ANTM2C)
    ANTM2C.prepare(run)
    table, tables = FeatureTable(RECIPE), []
    for split in read_splits(run):
        data = SplitData(run, split.name)
        X = table.compute(data, given_pool(data, Shard(0, 0, data.n_queries)))
        keys = impressions(data).select("ts", split=pl.lit(split.name))
        tables.append(keys.hstack(pl.from_numpy(X, table.names)))
    return pl.concat(tables).sort(TAG)


def moved(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Rows of `a` with a feature that differs in `b`."""
    names = a.columns[2:]
    X, Y = (table.select(names).to_numpy() for table in (a, b))
    return a.filter(pl.Series(~np.isclose(X, Y, atol=0, rtol=0, equal_nan=True).all(axis=1)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return features(tmp_path_factory.mktemp("whole"), log(3))


@pytest.mark.parametrize(
    ("split", "sees"),
    [("train_1", {"train_1", "valid", "test"}), ("valid", {"test"}), ("test", set())],
)
def test_a_flipped_label_moves_only_what_may_know_it(
    tmp_path: Path, whole: pl.DataFrame, split: str, sees: set[str]
) -> None:
    """Labels of valid reach the test alone, those of the test nothing."""
    rows, own = log(3), whole.filter(split=split)
    tag, ts = own.select(TAG, "ts").row(own.height // 2)
    rows[int(tag)][LABEL] = "1" if rows[int(tag)][LABEL] == "0" else "0"
    changed = moved(whole, features(tmp_path, rows))
    assert changed.is_empty() or changed["ts"].min() > ts  # type: ignore[operator]
    assert set(changed["split"]) <= sees
    assert changed.height or not sees, "an earlier label does reach something"
    late = changed.filter(split="train_1")
    assert (late["ts"] - ts > 0).all() and (split != "train_1" or late.height), "in stretches"


def test_a_log_that_ends_at_a_row_gives_the_same_features(
    tmp_path: Path, whole: pl.DataFrame
) -> None:
    test = whole.filter(split="test")
    end = test["ts"][test.height // 2]
    kept = whole.filter(pl.col("ts") <= end)
    found = features(tmp_path, [row for row in log(3) if float(row[TAG]) in set(kept[TAG])])
    assert found.height == kept.height < whole.height and moved(kept, found).is_empty()


def test_the_order_of_rows_of_one_minute_moves_nothing(tmp_path: Path, whole: pl.DataFrame) -> None:
    rows, order = log(3), np.random.default_rng(1).permutation(ROWS)
    assert len({row["log_time"] for row in rows}) < ROWS / 2, "many rows have one time"
    assert moved(whole, features(tmp_path, [rows[n] for n in order])).is_empty()


def test_clicks_of_valid_are_unknown_to_all_of_it(whole: pl.DataFrame) -> None:
    """So the rate of a scene, as known in valid, does not change within it."""
    rows = whole.filter(split="valid")
    assert rows["ts"].max() - rows["ts"].min() > DAY  # type: ignore[operator]
    rates = rows.group_by("impression_scene").agg(pl.col("shown_scene_rate_all_0.25h_late"))
    assert rates.height == 2
    assert all(len(set(rate)) == 1 for rate in rates["shown_scene_rate_all_0.25h_late"])
