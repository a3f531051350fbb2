"""Base classes of metrics.

A metric gives two numbers per query: the value of its list, and the ideal, what the value counts
against. The score of many queries is the sum of their values over the sum of their ideals. A mean
over queries has the ideal 1 for each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, fields
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F64, I64, Mask
from src.metrics.judged import Judged

WHOLE_LIST = 1 << 20
"""Items of a list that count where a metric has no k: more than any list has."""

Empty = Literal["zero", "one", "skip"]
"""What a query with judged items but no positive counts; "skip": nothing, it is left out."""

EMPTY_TEXTS: dict[Empty, str] = {
    "zero": "a query without a positive counts 0",
    "one": "a query without a positive counts 1",
    "skip": "queries without a positive are left out",
}


TIES = "equal scores go by item id"


class Norms(NamedTuple):
    """What the lists of queries are measured against, float64 (queries) each."""

    scale: F64  # a raw value is divided by it
    ideal: F64
    added: F64  # to the raw value: 1 where a query without a positive counts 1
    lowest: float = -np.inf  # the least value of a query

    def values(self, raw: F64, queries: I64 | slice = slice(None)) -> F64:
        """Return the values of queries from the raw values of their lists."""
        return np.maximum((raw + self.added[queries]) / self.scale[queries], self.lowest)

    @property
    def of_no_list(self) -> F64:
        """Values of queries whose list is empty."""
        return self.values(np.zeros(self.scale.size))


@dataclass(frozen=True)
class Metric(ABC):
    """Metric of the first k items of lists. An item of a grade above 0 is a positive.

    Fields after k are switches: `str` shows those that differ from their defaults, as
    `metric_named` reads them.
    """

    name: ClassVar[str]
    pooled: ClassVar[bool] = False
    """Whether scores of different queries are compared: src/metrics/pooled.py."""

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"{self.name}: k is at least 1")

    def __str__(self) -> str:
        switches = (f for f in fields(self) if f.name != "k")
        changed = [f for f in switches if getattr(self, f.name) != f.default]
        cut = "" if self.k == WHOLE_LIST else f"@{self.k}"
        return self.name + cut + "".join(f":{f.name}={getattr(self, f.name)}" for f in changed)

    @property
    def cap(self) -> int:
        """The most positives of a query that can count."""
        return self.k

    @property
    @abstractmethod
    def convention(self) -> str:
        """Say in a line how the metric is computed: gains, empty lists, ties."""

    @abstractmethod
    def raw_values(self, listed: NDArray) -> F64:
        """Return the value of each list before it is divided by the scale: float64 (queries).

        listed: grade of the item at each rank, (queries, at least one); 0 for an item that is not
        judged and behind the end. Ranks from k on do not count. Zeros at the end never matter.
        """

    def scale(self, judged: Judged) -> F64:
        """Return what the raw value of each query is divided by; any number for an empty one."""
        return np.ones(judged.offsets.size - 1)

    @abstractmethod
    def norms(self, judged: Judged) -> Norms:
        """Return scale and ideal of each query; 0 is the ideal of one without a judged item.

        Raises ValueError where the metric cannot use a grade.
        """

    def values(self, listed: NDArray, judged: Judged) -> F64:
        """Return the value of each query's list; arguments as above, of the same queries."""
        return self.norms(judged).values(self.raw_values(listed))


@dataclass(frozen=True)
class MeanMetric(Metric):
    """Metric whose score is the mean over queries."""

    _: KW_ONLY
    empty: Empty = "zero"

    def norms(self, judged: Judged) -> Norms:
        has_positive, counts = judged.positives > 0, judged.exists
        if self.empty == "skip":
            counts = has_positive
        scale = np.where(has_positive, self.scale(judged), 1.0)
        one = counts & ~has_positive & (self.empty == "one")
        return Norms(scale, counts.astype(np.float64), one.astype(np.float64))

    @property
    def convention(self) -> str:
        return "; ".join([self.formula, EMPTY_TEXTS[self.empty], TIES])

    @property
    @abstractmethod
    def formula(self) -> str:
        """Say what the value of a query is."""


def relevant(listed: NDArray, k: int) -> Mask:
    """Mark the positives among the first k items."""
    mask: Mask = listed[:, :k] > 0
    return mask


def row_sums(cells: NDArray) -> F64:
    """Add each row from its left: zeros at the end of a row change no bit of the sum."""
    return np.cumsum(cells, axis=1, dtype=np.float64)[:, -1]
