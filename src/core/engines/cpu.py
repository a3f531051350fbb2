"""The CPU: polars' streaming engine, and numba kernels."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from src.core.engines.base import Engine


@dataclass(frozen=True)
class CpuEngine(Engine):
    """All cores of this machine."""

    name = "cpu"
    device = "cpu"
    by_self_merge = False

    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """Run a query with the streaming engine."""
        return query.collect(engine="streaming")
