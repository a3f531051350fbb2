"""The end of a log with and without a thin tail, in seconds and milliseconds.

pytest tests/core/test_log_end.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import DAY, planted_events, span_of, write_split

from src.candidates.pool import Pool
from src.data.log_end import log_end
from src.data.schemas import EVENTS
from src.features.base import QueryBatch
from src.features.item_statistics import ItemStatisticsFeature
from src.matrices.span import Span
from src.serving.query_data import QueryData

HOUR = 3600


def times(stray: list[int], n: int = 2000, days: int = 10) -> pl.LazyFrame:
    """Evenly over so many days, then some more; and users without a time."""
    even = [k * days * 24 * HOUR // n for k in range(n)]
    return pl.LazyFrame({"ts": [*stray, None, *even, *[None] * 5000]}, schema={"ts": pl.Int64})


LAST = 1999 * 10 * 24 * HOUR // 2000


def with_a_tail(events: pl.DataFrame) -> pl.DataFrame:
    """One more session, alone, 40 days after all others."""
    last = span_of(events).last + 40 * DAY
    return pl.concat([events, pl.DataFrame([(300, 0, last, 0)], schema=EVENTS, orient="row")])


@pytest.mark.parametrize(("stray", "end"), [
    ([], LAST),
    ([LAST + 9 * HOUR], LAST + 9 * HOUR),  # not long after it
    ([LAST + 30 * HOUR], LAST),
    ([LAST + 30 * HOUR, 2 * LAST], LAST),
    ([2 * LAST] * 3, 2 * LAST),  # too many to be strays
])  # fmt: skip
def test_a_thin_tail_is_behind_the_end(stray: list[int], end: int) -> None:
    assert log_end(times(stray), HOUR) == end
    thousand = times(stray).select(pl.col("ts") * 1000)
    assert log_end(thousand, HOUR * 1000) == end * 1000


def test_few_times() -> None:
    assert log_end(pl.LazyFrame({"ts": [3, 10**9]}), HOUR) == 10**9, "one of two is no stray"
    assert log_end(pl.LazyFrame({"ts": [7] * 5000}), HOUR) == 7
    assert log_end(pl.LazyFrame({"ts": []}, schema={"ts": pl.Int32}), HOUR) == 0


def test_the_windows_of_matrices_end_there(tmp_path: Path) -> None:
    span = span_of(planted_events())
    data = write_split(tmp_path, with_a_tail(planted_events()), 40)
    found = Span.of(data.run, "valid")
    assert found.first == span.first and span.last - DAY < found.last <= span.last


def test_the_last_days_of_statistics_end_there(tmp_path: Path) -> None:
    """The end is some hours earlier than without a tail, not 40 days later."""
    counts = []
    for name, events in (("plain", planted_events()), ("tail", with_a_tail(planted_events()))):
        data = write_split(tmp_path / name, events, 40)
        nothing = Pool.without_lists(data.first_query, np.zeros(1, np.int64), np.empty(0, np.int32))
        batch = QueryBatch(data.run.recipe, data, nothing)
        counts.append(ItemStatisticsFeature(last_days=3).statistics(batch)[:, 0].sum())
    assert counts[0] > 100 and counts[1] == pytest.approx(counts[0], rel=0.3)


def test_a_query_without_times_is_asked_there(tmp_path: Path) -> None:
    events = planted_events()
    data = write_split(tmp_path, with_a_tail(events), 40)
    end = span_of(events).last
    assert end - DAY < QueryData(data.run, "valid").now <= end
