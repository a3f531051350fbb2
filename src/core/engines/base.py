"""What an engine is: where polars queries run, nets are trained and matrices are counted.

One code path: a step builds a lazy query, `Engine.collect` runs it. On a GPU nothing may fall back
to the CPU unseen, so the query raises when RAPIDS cannot run it (`make gpu-check` finds that out
without a GPU). Never used there, because cudf-polars lacks them: group_by().head, int_range().over,
cum_count().over, list operations, cut, categoricals, rle_id, map_batches, join_asof(by=).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import polars as pl


def available_threads() -> int:
    """Threads that the kernels may use."""
    return int(os.environ.get("NUMBA_NUM_THREADS", os.cpu_count() or 1))


@dataclass(frozen=True)
class Engine(ABC):
    """One choice of --engine, made at start; `trouble` tells why it cannot be had."""

    name: ClassVar[str]
    device: ClassVar[str]  # as torch and XGBoost call it
    by_self_merge: ClassVar[bool]  # matrices by the polars query that defines them; else a kernel

    threads: int = field(default_factory=available_threads)

    @classmethod
    def trouble(cls) -> str | None:
        """Why it cannot be used here; None where it can."""
        return None

    @property
    def models_at_a_time(self) -> int:
        """How many models are trained at a time."""
        return self.threads

    @abstractmethod
    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """Run a query."""
