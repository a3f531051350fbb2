"""Matrices on Spark equal the self-merge, for every row of every recipe and for any row.

pytest tests/spark/matrices
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from matrix_rows import EVERY_ROW, AnySessions, any_row, any_sessions, frame_of
from planted import planted_events, run_in, span_of
from polars.testing import assert_frame_equal

from src.core.engines import SparkEngine
from src.matrices.covisitation import CovisitationMatrix
from src.matrices.neighbours import NEIGHBOURS
from src.matrices.self_merge import self_merge

ROWS = {replace(row, name=""): name for name, row in reversed(EVERY_ROW.items())}
"""Every row once, whatever its name."""
ANYHOW = [HealthCheck.function_scoped_fixture]


class Counter:
    """Counts matrices of a table of events on Spark."""

    def __init__(self, folder: Path, engine: SparkEngine) -> None:
        self.folder, self.run = folder, run_in(folder, engine=engine)

    def __call__(self, events: pl.DataFrame, row: CovisitationMatrix) -> pl.DataFrame:
        from src.spark.matrices import covisitation
        from src.spark.session import session

        path, near = self.folder / "events.parquet", self.folder / "matrix"
        events.write_parquet(path, row_group_size=100)
        tables = covisitation.counted(session(self.run), path, row, span_of(events), near)
        return pl.concat([pl.DataFrame(schema=NEIGHBOURS), *tables])


@pytest.fixture(scope="module")
def count(tmp_path_factory: pytest.TempPathFactory, spark: SparkEngine) -> Iterator[Counter]:
    from src.spark.matrices import covisitation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(covisitation, "EVENTS_PER_TASK", 3000)  # three tasks
        yield Counter(tmp_path_factory.mktemp("spark"), spark)


@pytest.mark.parametrize("row", ROWS, ids=ROWS.values())
def test_every_row_equals_the_self_merge(count: Counter, row: CovisitationMatrix) -> None:
    events = planted_events()
    want = self_merge(events.lazy(), row, span_of(events)).collect()
    assert_frame_equal(count(events, row), want, check_exact=True)


@settings(max_examples=15, deadline=None, derandomize=True, database=None,
          suppress_health_check=ANYHOW)  # fmt: skip
@given(any_sessions, any_row)
def test_any_row_equals_the_self_merge(
    count: Counter, sessions: AnySessions, row: CovisitationMatrix
) -> None:
    events = frame_of(sessions)
    want = self_merge(events.lazy(), row, span_of(events)).collect()
    assert_frame_equal(count(events, row), want, check_exact=True)


TIES = [[(9, 0, 0), (7, 0, 0), (8, 0, 0), (0, 0, 0), (6, 10, 0)]]  # item, seconds since, type
GAPS = [[(1, 0, 0), (2, 10, 1), (3, 20, 2), (4, 30, 0)]]


@pytest.mark.parametrize(
    ("sessions", "row"),
    [
        (TIES, CovisitationMatrix("ties by item", last_events=5, top_n=2)),
        (GAPS, CovisitationMatrix("a gap of 20 s is just near enough", max_gap_s=21)),
        (GAPS, CovisitationMatrix("a gap of 20 s is just too far", max_steps=3, max_gap_s=20)),
    ],
)
def test_edges(count: Counter, sessions: AnySessions, row: CovisitationMatrix) -> None:
    events = frame_of(sessions)
    want = self_merge(events.lazy(), row, span_of(events)).collect()
    assert want.height < count(events, replace(row, top_n=9, max_gap_s=999)).height
    assert_frame_equal(count(events, row), want, check_exact=True)


def test_an_error_of_javas_power_changes_nothing(
    count: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.sql import Column

    from src.spark.matrices import covisitation

    right = covisitation.sql.pow

    def wrong(base: Column, exponent: float) -> Column:
        return right(base, exponent) * (1 + (covisitation.sql.col("item_y") % 7 - 3) * 1e-3)

    monkeypatch.setattr(covisitation.sql, "pow", wrong)
    monkeypatch.setattr(covisitation, "POW_ERROR", 4e-3)
    row, events = EVERY_ROW["item_norm"], planted_events()
    want = self_merge(events.lazy(), row, span_of(events)).collect()
    assert_frame_equal(count(events, row), want, check_exact=True)


def test_a_popular_item_is_shared_by_all_tasks(count: Counter) -> None:
    """Each task cuts the lists of an item before the shuffle by item, which gets top_n of each."""
    from src.spark.matrices import covisitation
    from src.spark.session import session, with_row_number

    events, row = planted_events(), EVERY_ROW["otto near6"]
    path = count.folder / "plan.parquet"
    events.write_parquet(path)
    table = with_row_number(session(count.run), path, "row")
    plan = covisitation.matrix(table, row, span_of(events))._jdf.queryExecution().toString()
    physical = plan.partition("== Physical Plan ==")[2]
    shuffles = [line.partition("hashpartitioning(")[2] for line in physical.splitlines()
                if "Exchange hashpartitioning" in line]  # fmt: skip
    assert [text.partition("#")[0] for text in shuffles] == ["item_x", "item_x", "session"]
    assert shuffles[1].count("item_y") == 1  # a pair is summed by the task of its pair
    assert physical.count("Partial\n") >= 1 and "row_number(), 80, Partial" in physical
