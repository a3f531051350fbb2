"""As-of columns on Spark: the bits of the CPU's, and decayed counts to a relative 1e-6.

pytest tests/spark/features
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shown import TICK, Shown, computed, random_log, world

from src.core.engines import SparkEngine
from src.data.split_data import SplitData
from src.features.as_of import WHAT, AsOfFeature
from src.spark.rankers.score import SplitScorer

KEYS = (("user", "item"), ("page",), ())
WINDOWS, HALVES = (3 * TICK, None), (4 * TICK, 50 * TICK)
OTHER = AsOfFeature("reads", ("user",), ("clicks", "rate"), (None,), delay_s=TICK, outcome="read")
UNTIL = 8
ANYHOW = [HealthCheck.function_scoped_fixture]


def compare(folder: Path, spark: SparkEngine, log: list[Shown], rows: list[AsOfFeature]) -> None:
    """Compare the columns of all lists of a log, made by both engines."""
    data, wanted = world(folder, log, log, rows, UNTIL)
    on_spark = SplitData(replace(data.run, engine=spark), "valid")
    found = computed(on_spark)
    assert found.columns == wanted.columns and wanted.height
    for name in wanted.columns:
        if "decayed" in name:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-6)
        else:
            assert found[name].to_list() == wanted[name].to_list(), name


def test_every_column_of_every_key(tmp_path: Path, spark: SparkEngine) -> None:
    """Equal times, hidden clicks, rows without a page, keys that a list has and the log lacks."""
    log = random_log(1, lists=60)
    rows = [AsOfFeature("shown", key, WHAT, WINDOWS, HALVES, 2 * TICK) for key in KEYS]
    compare(tmp_path, spark, log, [*rows, OTHER])
    assert list((tmp_path / "valid" / "as_of").glob("shown_user_item-*.parquet"))


def test_tables_are_there_before_tasks_score(tmp_path: Path, spark: SparkEngine) -> None:
    """A task, which has no Spark, reads the table: nothing is left to make."""
    log = random_log(2, lists=20)
    data, _ = world(tmp_path, log, log, [OTHER], UNTIL)
    on_spark = SplitData(replace(data.run, engine=spark), "valid")
    scorer = SplitScorer(on_spark, [])
    assert not (tmp_path / "valid" / "as_of").exists()
    assert scorer._of_task.split == "valid"
    (table,) = (tmp_path / "valid" / "as_of").glob("reads_user-*.parquet")
    made = table.stat().st_mtime_ns
    computed(on_spark)
    assert table.stat().st_mtime_ns == made


any_log = st.lists(
    st.builds(
        Shown, st.integers(0, 12), st.integers(-1, 2), st.integers(0, 5),
        st.sampled_from([None, 0, 1]), st.integers(0, 1), st.integers(-1, 2),
    ),
    min_size=1, max_size=30, unique_by=lambda row: (*row.list_of, row.item),
)  # fmt: skip
ticks = st.integers(1, 20).map(lambda tick: tick * TICK + 1)
any_row = st.builds(
    AsOfFeature, st.just("shown"), st.sampled_from(KEYS), st.just(WHAT),
    st.lists(st.none() | ticks, min_size=1, max_size=2, unique=True).map(tuple),
    ticks.map(lambda half: (half,)), st.integers(0, 3 * TICK),
)  # fmt: skip


@settings(max_examples=3, deadline=None, derandomize=True, database=None,
          suppress_health_check=ANYHOW)  # fmt: skip
@given(any_log, any_row)
def test_any_row_of_any_log(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkEngine, log: list[Shown], row: AsOfFeature
) -> None:
    compare(tmp_path_factory.mktemp("any"), spark, log, [row])


def test_a_half_life_that_is_too_short_is_refused(tmp_path: Path, spark: SparkEngine) -> None:
    row, log = AsOfFeature("shown", ("item",), ("decayed",), (), (60,)), [Shown(0, 0, 1)]
    data, _ = world(tmp_path, log, [*log, Shown(3000, 0, 1)], [row])
    with pytest.raises(ValueError, match=r"a half-life of 60 s is too short .* take 108 s or more"):
        computed(SplitData(replace(data.run, engine=spark), "valid"))
