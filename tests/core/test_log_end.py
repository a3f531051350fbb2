"""The end of a log with and without a thin tail, in seconds and milliseconds.

pytest tests/core/test_log_end.py
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from planted import DAY, planted_events, span_of, write_split

from src.data.log_end import log_end
from src.data.schemas import EVENTS
from src.matrices.span import Span

HOUR = 3600


def times(stray: list[int], n: int = 2000, days: int = 10) -> pl.LazyFrame:
    """Evenly over so many days, then some more; and users without a time."""
    even = [k * days * 24 * HOUR // n for k in range(n)]
    return pl.LazyFrame({"ts": [*stray, None, *even, *[None] * 5000]}, schema={"ts": pl.Int64})


LAST = 1999 * 10 * 24 * HOUR // 2000


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
    events = planted_events()
    span = span_of(events)
    stray = pl.DataFrame([(300, 0, span.last + 40 * DAY, 0)], schema=EVENTS, orient="row")
    data = write_split(tmp_path, pl.concat([events, stray]), 40)
    found = Span.of(data.run, "valid")
    assert found.first == span.first and span.last - DAY < found.last <= span.last
