"""Find where a log ends: a few sessions of some logs go on for weeks after all others.

Windows and days that were counted back from the very last event would be empty.
"""

from __future__ import annotations

import numpy as np
import polars as pl

STRAY = 0.001  # share of the times that may lie after the end
LONG = 0.05  # of the time before the end: how long they must go on


def log_end(times: pl.LazyFrame, hour: int) -> int:
    """Return the last time, or the last one before a thin tail; 0 without a time.

    times: one column of integers or nulls. hour: its length in their unit; the tail begins with a
    full hour.
    """
    time = pl.col("time")
    known = times.select(pl.nth(0).alias("time")).drop_nulls()
    hours = known.group_by(hour=time // hour).agg(pl.len(), first=time.min(), last=time.max())
    table = hours.sort("last").collect(engine="streaming")
    if table.is_empty():
        return 0
    count, lasts = table["len"].to_numpy().astype(np.int64), table["last"].to_numpy()
    later = count.sum() - np.cumsum(count)
    end, last = int(lasts[np.argmax(later <= STRAY * count.sum())]), int(lasts[-1])
    return end if last - end > LONG * (end - int(table["first"][0])) else last
