"""Scale numbers and encode ids for the input of a net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from src.core.arrays import F32, I32, I64, Mask
from src.rankers.nets.base import InputSizes

if TYPE_CHECKING:
    from src.rankers.net import NetRanker

F16 = NDArray[np.float16]

MAX_DEVIATION = 5.0
"""Standardised numbers are clipped to this range on both sides of 0."""
COLUMNS = 32
"""Columns of a block, about."""


@dataclass(frozen=True)
class InputScaler:
    """Converts raw features and item ids to the inputs of a net; fitted on the train rows.

    names: of the columns that are read as numbers; mean, std: float32 (names), of their signed
    logarithms. missing: indices of the names with missing values; each of them has a column more
    that tells where. categories: of the columns that are read as ids; values: the known values of
    each, ascending. items: the known items, ascending. The code of a known value is 1 + its index;
    all unknown values have code 0. of_query: bool (names and categories), whether the column is
    constant within every query.
    """

    names: list[str]
    categories: list[str]
    mean: F32
    std: F32
    missing: I64
    values: list[I64]
    items: I64
    of_query: Mask

    @classmethod
    def fit(
        cls, ranker: NetRanker, names: list[str], X: F32, query: NDArray, item: NDArray
    ) -> InputScaler:
        """Fit to features and items.

        X: columns of the names, then of the ranker's categories. query: of the rows of X, which are
        sorted by it. item: all occurrences; negative ids are padding.
        """
        columns = [moments(block) for block in column_blocks(X[:, : len(names)])]
        mean, std, some_missing = (np.concatenate(c) for c in zip(*columns, strict=True))
        missing = np.flatnonzero(some_missing)
        items, count = np.unique(item[item >= 0], return_counts=True)
        order = np.argsort(-count, kind="stable")[: ranker.max_items]
        known = np.sort(items[order[count[order] >= ranker.min_count]]).astype(np.int64)
        values = [
            known_values(X[:, c], ranker.net.scene_rows if name == ranker.net.scene else 1)
            for c, name in enumerate(ranker.categories, len(names))
        ]
        of_query = np.concatenate([constant(block, query) for block in column_blocks(X)])
        return cls(
            names, list(ranker.categories), mean, std.clip(1e-6), missing, values, known, of_query
        )

    def sizes(self, event_types: int) -> InputSizes:
        """Return the sizes of a net's inputs; code 0 counts, of unknown values and of padding."""
        categories = tuple(len(known) + 1 for known in self.values)
        of_query, of_category = np.split(self.of_query, [len(self.names)])
        numbers = np.append(of_query, of_query[self.missing])
        names = [*self.names, *(self.names[column] for column in self.missing)]
        nothing = np.full((1, len(self.names)), np.nan, np.float32)
        return InputSizes(
            numbers.size, len(self.items) + 1, categories, max(event_types, 1),
            tuple(np.flatnonzero(numbers).tolist()), tuple(np.flatnonzero(of_category).tolist()),
            names=tuple(names), category_names=tuple(self.categories),
            absent=tuple(self.inputs(self.numbers(nothing))[0].tolist()),
            means=tuple(self.mean.tolist()), deviations=tuple(self.std.tolist()),
        )  # fmt: skip

    @property
    def columns(self) -> list[str]:
        """Names of all columns of X, in order."""
        return [*self.names, *self.categories]

    def numbers(self, X: F32) -> F16:
        """Standardise the number columns of X: float16 (rows, names).

        A missing number stays NaN in the columns that have missing values, and is 0 before the
        scaling in others.
        """
        raw = X[:, : len(self.names)]
        scaled = (signed_logarithm(raw) - self.mean) / self.std
        scaled = np.clip(scaled, -MAX_DEVIATION, MAX_DEVIATION).astype(np.float16)
        absent = np.isnan(raw[:, self.missing])
        scaled[:, self.missing] = np.where(absent, np.nan, scaled[:, self.missing])
        return scaled

    def inputs(self, numbers: F16) -> F32:
        """Convert the result of `numbers` to the input of a net: float32 (rows, sizes.numbers).

        A missing number is the mean of its column, and a column of its own is 1 where it is.
        """
        if not self.missing.size:
            return numbers.astype(np.float32)
        absent = np.isnan(numbers[:, self.missing])
        return np.hstack([np.nan_to_num(numbers.astype(np.float32)), absent.astype(np.float32)])

    def codes(self, X: F32) -> I32:
        """Encode the category columns of X: int32 (rows, categories)."""
        codes = np.empty((len(X), len(self.values)), np.int32)
        for c, known in enumerate(self.values):
            codes[:, c] = codes_of(known, X[:, len(self.names) + c])
        return codes


def known_values(column: F32, min_rows: int) -> I64:
    """Return the values of a category that have at least min_rows rows, ascending."""
    values, count = np.unique(column.astype(np.int64), return_counts=True)
    return values[count >= min_rows]


def column_blocks(X: F32) -> list[F32]:
    """Cut X into blocks of columns, so that what is computed of one takes little memory."""
    return np.array_split(X, max(1, X.shape[1] // COLUMNS), axis=1)


def moments(X: F32) -> tuple[F32, F32, Mask]:
    """Compute mean and deviation of the signed logarithms of each column's known numbers.

    The last array tells which columns have missing numbers. A column without a number has 0, 0.
    """
    numbers, absent = signed_logarithm(X), np.isnan(X)
    mean, std = numbers.mean(axis=0), numbers.std(axis=0)
    missing = np.asarray(absent.any(axis=0))
    for column in np.flatnonzero(missing):
        present = numbers[~absent[:, column], column]
        mean[column], std[column] = (present.mean(), present.std()) if present.size else (0, 0)
    return mean, std, missing


def constant(X: F32, query: NDArray) -> Mask:
    """Return whether each column of X is constant within every query."""
    same = (X[1:] == X[:-1]) | (np.isnan(X[1:]) & np.isnan(X[:-1]))
    of_query: Mask = (same | (query[1:] != query[:-1])[:, None]).all(axis=0)
    return of_query


def signed_logarithm(X: F32) -> F32:
    """Compute sign(x) * ln(1 + |x|); a missing number counts as 0."""
    X = np.nan_to_num(X)
    return np.sign(X) * np.log1p(np.abs(X))


def codes_of(known: I64, value: NDArray) -> I32:
    """Encode values: 1 + the index among the known values, which ascend; 0 for unknown values."""
    padded = np.append(known, np.iinfo(np.int64).max)  # a value beyond all has an index too
    index = np.searchsorted(padded, value.astype(np.int64))
    return np.where(padded[index] == value, index + 1, 0).astype(np.int32)
