"""Base class of engines: the device that runs polars queries, counts matrices and trains nets.

Both engines run the same lazy queries. A GPU never falls back to the CPU: a query that RAPIDS
cannot run raises an error. `make gpu-check` translates all queries without a GPU. cudf-polars lacks
group_by().head, int_range().over, cum_count().over, list operations, cut, categoricals, rle_id,
map_batches and join_asof(by=).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from types import ModuleType
from typing import ClassVar

import polars as pl


def available_threads() -> int:
    """Return the number of threads that the kernels may use."""
    return int(os.environ.get("NUMBA_NUM_THREADS", os.cpu_count() or 1))


@dataclass(frozen=True)
class Engine(ABC):
    """A value of --engine."""

    name: ClassVar[str]
    device: ClassVar[str]  # the name that torch and XGBoost use
    by_self_merge: ClassVar[bool]  # matrices by the polars query that defines them; else by kernels

    threads: int = field(default_factory=available_threads)

    @classmethod
    def fault(cls) -> str | None:
        """Return the reason why this machine lacks the engine; None if it works."""
        return None

    @property
    def models_at_a_time(self) -> int:
        """Models that are trained at the same time."""
        return self.threads

    def twin(self, module: str) -> ModuleType | None:
        """Return this engine's own form of a module, such as src.matrices.swing; mostly None.

        It has functions of the same names, as far as they differ.
        """
        return None

    @abstractmethod
    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """Run a query."""
