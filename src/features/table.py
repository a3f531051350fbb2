"""All feature columns of a recipe, computed block by block and never stored for all candidates."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numba import get_num_threads

from src.candidates.pool import Pool
from src.core.arrays import F32
from src.data.recipe import Recipe
from src.data.split_data import SplitData
from src.features.base import Block
from src.features.rank_kernel import rank_columns


class FeatureTable:
    """The columns of all feature groups of a recipe, in its order; all ranks stand behind them."""

    def __init__(self, recipe: Recipe) -> None:
        """Raise ValueError where two rows of the recipe make columns of one name."""
        self.recipe = recipe
        names: list[str] = []
        ranked: list[int] = []
        for group in recipe.features:
            ranked += [len(names) + column for column in group.ranked(recipe)]
            names += group.names(recipe)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"recipe {recipe.name}: two rows make the features {twice}")
        self.sources = np.array(ranked, np.int64)  # columns that have a rank
        self.targets = len(names) + np.arange(len(ranked))  # columns of these ranks
        self.names = [*names, *(f"{names[column]}_rank" for column in ranked)]

    @property
    def groups(self) -> dict[str, list[str]]:
        """Names of the columns and ranks of every kind of feature group, by its class."""
        names: dict[str, list[str]] = {}
        for group in self.recipe.features:
            names.setdefault(type(group).__name__, []).extend(group.all_names(self.recipe))
        return names

    def compute(self, data: SplitData, pool: Pool, wanted: Collection[str] | None = None) -> F32:
        """Compute X, float32 of shape (rows of the pool, names).

        Groups and ranks without a `wanted` column (None: all are wanted) stay 0.
        """
        X = np.zeros((pool.item.size, len(self.names)), np.float32)
        block = Block(self.recipe, data, pool)
        used, column = set(self.names if wanted is None else wanted), 0
        for group in self.recipe.features:
            if not used.isdisjoint(group.all_names(self.recipe)):
                group.fill(block, X, column)
            column += len(group.names(self.recipe))
        kept = np.array([self.names[target] in used for target in self.targets], np.bool_)
        sources, targets = self.sources[kept], self.targets[kept]
        rank_columns(pool.offsets, sources, targets, X, get_num_threads())
        return X
