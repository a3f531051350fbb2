"""Time range of a split's events, to which the time windows of matrices refer."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from src.core.run import Run
from src.data import paths
from src.data.log_end import log_end
from src.data.units import HOUR


@dataclass(frozen=True)
class Span:
    """First and last second of a split's events, a thin tail aside (`log_end`)."""

    first: int
    last: int

    @classmethod
    def of(cls, run: Run, split: str) -> Span:
        """Read the time range of a split; 0 to 0 without events."""
        ts = pl.scan_parquet(paths.events(run, split)).select("ts")
        return cls(ts.min().collect().item() or 0, log_end(ts, HOUR))
