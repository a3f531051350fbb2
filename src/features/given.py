"""Columns: the feature columns of given candidates, as they are or within the query; their fusion.

The columns are those that step 1 has found in the raw files (`Recipe.given_columns`). A session
without an event is no special case: nothing here reads events.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from src.core.arrays import F32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.given import read_given
from src.features.base import FeatureGroup, Memory, QueryBatch, lower_names, require_known
from src.features.given_kernel import Form, Fusion, form_columns, fusion_columns

if TYPE_CHECKING:
    from src.data.recipe import Recipe

FORMS = lower_names(Form)


class GivenGroup(FeatureGroup):
    """Computes columns from the feature columns of given candidates."""

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError unless the recipe's candidates are given."""
        if not recipe.given:
            raise ValueError(f"{type(self).__name__}: the recipe's candidates are not given")

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.given(run, split)]

    def memory(self, run: Run, split: str) -> Memory:
        """Count the session of every row, to find the rows of a query; rows are read in batches."""
        return Memory(4.0 * count_rows(paths.given(run, split)))

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        self.fill_given(batch.pool.offsets, given_values(batch), X, column)


@dataclass(frozen=True)
class GivenFeature(GivenGroup):
    """Copies the columns of given candidates, or compares their values within the query.

    value: as given, NaN where missing. rank: the share of the query's candidates with a smaller
    value, 1 where missing. zscore: deviations from the mean of the query's known values, 0 where
    missing. reciprocal: 1 / (RRF_K + value), 0 where missing, for columns that are ranks from 1.
    """

    forms: tuple[str, ...] = ("value",)  # of FORMS: a column of each for every given column

    def __post_init__(self) -> None:
        require_known("given feature", self.forms, FORMS)

    def names(self, recipe: Recipe) -> list[str]:
        ends = ["" if form == "value" else f"_{form}" for form in self.forms]
        return [f"{column}{end}" for end in ends for column in recipe.given_columns]

    def fill_given(self, offsets: I64, values: F32, X: F32, column: int) -> None:
        forms = np.array([Form[form.upper()] for form in self.forms], np.int64)
        form_columns(offsets, values, forms, column, X)


@dataclass(frozen=True)
class GivenFusionFeature(GivenGroup):
    """Merges given columns that are ranks of lists, 1 for the top, NaN where an item is not listed.

    n_lists: lists that have the candidate. rrf: sum of 1 / (RRF_K + rank) over them. borda: mean
    over all lists of the share of the query's candidates that stand behind it, 0 where not listed.
    """

    def names(self, recipe: Recipe) -> list[str]:
        return [f"given_{name}" for name in lower_names(Fusion)]

    def fill_given(self, offsets: I64, values: F32, X: F32, column: int) -> None:
        fusion_columns(offsets, values, column, X)


def given_values(batch: QueryBatch) -> F32:
    """Read the given columns of the candidates of a batch: float32 (candidates, columns)."""
    columns, pool = batch.recipe.given_columns, batch.pool
    frame = read_given(batch.data, batch.first, batch.end, columns)
    pair = pair_numbers(frame["session"].to_numpy(), frame["item"].to_numpy())
    rows = np.searchsorted(pair, pair_numbers(pool.session, pool.item))
    values = np.empty((pool.item.size, len(columns)), np.float32)
    for number, name in enumerate(columns):
        values[:, number] = frame[name].to_numpy()[rows]  # NaN for null
    return values


def pair_numbers(session: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Join session and item to one number each, in the order of both; an item may be -1."""
    return (session.astype(np.int64) << 32) + item
