"""Scale numbers and encode ids for the input of a net."""

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
"""Standardised numbers are clipped to this range on both sides of 0."""


class InputSizes(NamedTuple):
    """Sizes of the inputs of a net."""

    numbers: int  # columns
    items: int  # codes
    categories: tuple[int, ...]  # codes of each category
    event_types: int


@dataclass(frozen=True)
class InputScaler:
    """Converts raw features and item ids to the inputs of a net; fitted on the train rows.

    names: of the columns that are read as numbers; mean, std: float32 (names), of their signed
    logarithms. categories: of the columns that are read as ids; values: the known values of each,
    ascending. items: the known items, ascending. The code of a known value is 1 + its index; all
    unknown values have code 0.
    """

    names: list[str]
    categories: list[str]
    mean: F32
    std: F32
    values: list[I64]
    items: I64

    @classmethod
    def fit(cls, ranker: DINRanker, names: list[str], X: F32, item: NDArray) -> InputScaler:
        """Fit to features and items.

        X: columns of the names, then of the ranker's categories. item: all occurrences; negative
        ids are padding.
        """
        numbers = signed_logarithm(X[:, : len(names)])
        items, count = np.unique(item[item >= 0], return_counts=True)
        order = np.argsort(-count, kind="stable")[: ranker.max_items]
        known = np.sort(items[order[count[order] >= ranker.min_count]]).astype(np.int64)
        values = [np.unique(X[:, c].astype(np.int64)) for c in range(len(names), X.shape[1])]
        mean, std = numbers.mean(axis=0), numbers.std(axis=0).clip(1e-6)
        return cls(names, list(ranker.categories), mean, std, values, known)

    def sizes(self, event_types: int) -> InputSizes:
        """Return the sizes of a net's inputs; code 0 of unknown values counts."""
        categories = tuple(len(known) + 1 for known in self.values)
        return InputSizes(len(self.names), len(self.items) + 1, categories, event_types)

    @property
    def columns(self) -> list[str]:
        """Names of all columns of X, in order."""
        return [*self.names, *self.categories]

    def numbers(self, X: F32) -> F16:
        """Standardise the number columns of X: float16 (rows, names)."""
        logarithms = signed_logarithm(X[:, : len(self.names)])
        scaled = (logarithms - self.mean) / self.std
        return np.clip(scaled, -MAX_DEVIATION, MAX_DEVIATION).astype(np.float16)

    def codes(self, X: F32) -> I32:
        """Encode the category columns of X: int32 (rows, categories)."""
        codes = np.empty((len(X), len(self.values)), np.int32)
        for c, known in enumerate(self.values):
            codes[:, c] = codes_of(known, X[:, len(self.names) + c])
        return codes


def signed_logarithm(X: F32) -> F32:
    """Compute sign(x) * ln(1 + |x|); a missing number counts as 0."""
    X = np.nan_to_num(X)
    return np.sign(X) * np.log1p(np.abs(X))


def codes_of(known: I64, value: NDArray) -> I32:
    """Encode values: 1 + the index among the known values, which ascend; 0 for unknown values."""
    padded = np.append(known, np.iinfo(np.int64).max)  # a value beyond all has an index too
    index = np.searchsorted(padded, value.astype(np.int64))
    return np.where(padded[index] == value, index + 1, 0).astype(np.int32)
