"""Compute all feature columns of a recipe for a batch of candidates."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import numpy as np
from numba import get_num_threads

from src.candidates.pool import Pool
from src.core.arrays import F32, I64
from src.data.recipe import Recipe
from src.data.split_data import SplitData
from src.features.base import FeatureGroup, QueryBatch
from src.features.rank_kernel import rank_columns


class Buffer:
    """Memory for the features of one batch after another.

    A batch takes hundreds of megabytes; to map them anew takes longer than many a feature.
    """

    def __init__(self) -> None:
        self.cells = np.empty((0, 0), np.float32)

    def zeros(self, rows: int, columns: int) -> F32:
        """Return zeros, float32 (rows, columns), in the memory of the batch before."""
        if self.cells.shape[0] < rows or self.cells.shape[1] != columns:
            self.cells = np.empty((rows, columns), np.float32)
        X = self.cells[:rows]
        X.fill(0.0)
        return X


class FeatureTable:
    """The columns of all feature groups of a recipe, in its order, then the columns of ranks."""

    def __init__(self, recipe: Recipe) -> None:
        """List the columns; ValueError where two rows of the recipe have a column of one name."""
        self.recipe = recipe
        names: list[str] = []
        ranked: list[int] = []
        self.first_columns: list[int] = []  # of each group
        self.names_of: list[frozenset[str]] = []  # of each group, ranks included
        for group in recipe.features:
            self.first_columns.append(len(names))
            self.names_of.append(frozenset(group.all_names(recipe)))
            ranked += [len(names) + column for column in group.ranked(recipe)]
            names += group.names(recipe)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"recipe {recipe.name}: two rows make the features {twice}")
        self.ranked = np.array(ranked, np.int64)  # columns that have a rank
        self.ranks = len(names) + np.arange(len(ranked))  # columns of these ranks
        self.names = [*names, *(f"{names[column]}_rank" for column in ranked)]

    @property
    def groups(self) -> dict[str, list[str]]:
        """Names of the columns and ranks of each kind of feature group, by its class."""
        names: dict[str, list[str]] = {}
        for group in self.recipe.features:
            names.setdefault(type(group).__name__, []).extend(group.all_names(self.recipe))
        return names

    def compute(
        self, data: SplitData, pool: Pool, wanted: Collection[str] | None = None,
        buffer: Buffer | None = None,
    ) -> F32:  # fmt: skip
        """Compute the features X of the candidates of a pool: float32 (candidates, names).

        wanted: names of columns (None: all). Groups and ranks without a wanted column stay 0.
        buffer: where X lies, until the next X is computed in it (None: in memory of its own).
        """
        batch, X = QueryBatch(self.recipe, data, pool), self._zeros(pool.offsets, buffer)
        return self._fill(X, pool.offsets, wanted, lambda group: partial(group.fill, batch))

    def compute_given(self, offsets: I64, values: F32) -> F32:
        """Compute all features from given columns alone: float32 (candidates, names).

        The arguments are those of FeatureGroup.fill_given, which raises ValueError where a group
        reads more.
        """
        X = self._zeros(offsets, None)
        return self._fill(
            X, offsets, None, lambda group: partial(group.fill_given, offsets, values)
        )

    def _zeros(self, offsets: I64, buffer: Buffer | None) -> F32:
        return (buffer or Buffer()).zeros(int(offsets[-1]), len(self.names))

    def _fill(
        self, X: F32, offsets: I64, wanted: Collection[str] | None,
        filler: Callable[[FeatureGroup], Callable[[F32, int], None]],
    ) -> F32:  # fmt: skip
        """Let each group with a wanted column fill its columns of X; then compute the ranks."""
        names = frozenset(self.names if wanted is None else wanted)
        groups = zip(self.recipe.features, self.names_of, self.first_columns, strict=True)
        for group, of_group, column in groups:
            if not names.isdisjoint(of_group):
                filler(group)(X, column)
        mask = np.array([self.names[rank] in names for rank in self.ranks], np.bool_)
        rank_columns(offsets, self.ranked[mask], self.ranks[mask], X, get_num_threads())
        return X
