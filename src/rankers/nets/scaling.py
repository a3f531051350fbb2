"""Scale features and encode ids as a net reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, I32, I64

if TYPE_CHECKING:
    from src.rankers.din import DINRanker

F16 = NDArray[np.float16]

MAX_DEVIATION = 5.0
"""Numbers are cut so many standard deviations from their mean."""


class InputSizes(NamedTuple):
    """Number of number columns, and of the codes of each id."""

    numbers: int
    items: int
    categories: tuple[int, ...]
    event_types: int


@dataclass(frozen=True)
class InputScaler:
    """Turns raw columns into a net's inputs; fitted on the rows that the net learns from.

    names: of the number columns, whose signed logarithms have this mean and std; categories: of the
    other columns. values, items: the known values of each category, and the known items, ascending.
    The code of a value is 1 + its index there; unknown values share the code 0.
    """

    names: list[str]
    categories: list[str]
    mean: F32
    std: F32
    values: list[I64]
    items: I64

    @classmethod
    def fit(cls, ranker: DINRanker, names: list[str], X: F32, item: NDArray) -> InputScaler:
        """Fit to X, columns of the names and then the ranker's categories, and all items read."""
        numbers = signed_logarithm(X[:, : len(names)])
        items, count = np.unique(item[item >= 0], return_counts=True)
        frequent = np.argsort(-count, kind="stable")[: ranker.max_items]
        kept = np.sort(items[frequent[count[frequent] >= ranker.min_count]]).astype(np.int64)
        values = [np.unique(X[:, c].astype(np.int64)) for c in range(len(names), X.shape[1])]
        mean, std = numbers.mean(axis=0), numbers.std(axis=0).clip(1e-6)
        return cls(names, list(ranker.categories), mean, std, values, kept)

    def sizes(self, event_types: int) -> InputSizes:
        """Sizes of a net's inputs; of items and categories with the code of unknown values."""
        categories = tuple(len(known) + 1 for known in self.values)
        return InputSizes(len(self.names), len(self.items) + 1, categories, event_types)

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in the order of X."""
        return [*self.names, *self.categories]

    def numbers(self, X: F32) -> F16:
        """Standardise the number columns of X."""
        raw = signed_logarithm(X[:, : len(self.names)])
        scaled = (raw - self.mean) / self.std
        return np.clip(scaled, -MAX_DEVIATION, MAX_DEVIATION).astype(np.float16)

    def codes(self, X: F32) -> I32:
        """Encode the category columns of X."""
        codes = np.empty((len(X), len(self.values)), np.int32)
        for c, known in enumerate(self.values):
            codes[:, c] = codes_of(known, X[:, len(self.names) + c])
        return codes


def signed_logarithm(X: F32) -> F32:
    """sign(x) * ln(1 + |x|); a missing number counts as 0."""
    X = np.nan_to_num(X)
    return np.sign(X) * np.log1p(np.abs(X))


def codes_of(known: I64, value: NDArray) -> I32:
    """1 + the index of each value among the known ones, which ascend; 0 for all others."""
    table = np.append(known, np.iinfo(np.int64).max)
    index = np.searchsorted(table, value.astype(np.int64))
    return np.where(table[index] == value, index + 1, 0).astype(np.int32)
