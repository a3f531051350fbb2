"""Time range of a split's events, to which the time windows of matrices refer."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from src.core.run import Run
from src.data import paths


@dataclass(frozen=True)
class Span:
    """First and last second of a split's events."""

    first: int
    last: int

    @classmethod
    def of(cls, run: Run, split: str) -> Span:
        """Read the time range of a split."""
        events = pl.scan_parquet(paths.events(run, split))
        return cls(*events.select(first=pl.min("ts"), last=pl.max("ts")).collect().row(0))
