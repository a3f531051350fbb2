"""The columns by which probabilities are broken down: a row of a recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import polars as pl

from src.candidates.pool import candidates_per_query
from src.core.run import Run
from src.data import paths
from src.data.coldness import FEW, LEVELS
from src.data.shards import shards
from src.data.split_data import SplitData
from src.features.base import FeatureGroup
from src.features.table import FeatureTable
from src.rankers.batches import batch_inputs, claim_batches, pools

if TYPE_CHECKING:
    from src.data.recipe import Recipe

KEY_BYTES, CELL_BYTES = 16.0, 8.0
"""Of the keys and of each column of a candidate: batches, and the table of all."""


@dataclass(frozen=True)
class Slices:
    """Scenes, counts of users and items as of the moment, and rates that serve as baselines.

    Counts and rates are columns of `features`, whether or not a ranker reads them.
    """

    scenes: tuple[str, ...] = ()  # columns of IMPRESSIONS; the first has a rate as a baseline
    features: tuple[FeatureGroup, ...] = ()
    user_count: str = ""  # rows of the user before the moment; "": no table of coldness
    item_count: str = ""
    rates: tuple[tuple[str, str], ...] = ()  # objective, and a column that is a rate of it

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where a column or an objective is not there."""
        if recipe.calibrator is None:
            raise ValueError("slices need probabilities; give the recipe a calibrator")
        names = FeatureTable(self.alone(recipe)).names
        wanted = [self.user_count, self.item_count, *(column for _, column in self.rates)]
        if unknown := sorted({name for name in wanted if name} - set(names)):
            raise ValueError(f"slices: {unknown} are no columns of their features")
        if bool(self.user_count) != bool(self.item_count):
            raise ValueError("slices: give user_count and item_count, or neither")
        if unknown := sorted({objective for objective, _ in self.rates}
                             - set(recipe.objective_names)):  # fmt: skip
            raise ValueError(f"slices: {unknown} are no objectives")

    def alone(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the features of the slices only."""
        return replace(recipe, features=self.features, rankers=(), preranker=None, slices=None)

    def causal(self) -> Self:
        """Return the row without features that look ahead: there are none."""
        return self

    def inputs(self, run: Run) -> list[Path]:
        """List the files that the columns are computed from."""
        of = replace(run, recipe=self.alone(run.recipe))
        found = [paths.impressions(run, "valid")] if self.scenes else []
        found += [
            file for shard in shards(run, "valid") for file in batch_inputs(of, "valid", shard)
        ]
        return list(dict.fromkeys(found))

    def columns(self, run: Run) -> pl.DataFrame:
        """Compute the columns of all candidates of `valid`: session, item, and the features'."""
        alone = replace(run, recipe=self.alone(run.recipe))
        table, data = FeatureTable(alone.recipe), SplitData(alone, "valid")
        candidates = candidates_per_query(run, "valid") * data.n_queries
        claim_batches(data, "slices", 0.0, candidates * (KEY_BYTES + CELL_BYTES * len(table.names)))
        parts = [
            pl.DataFrame({"session": pool.session, "item": pool.item}).hstack(
                pl.from_numpy(table.compute(data, pool), schema=table.names)
            )
            for shard in run.progress(shards(run, "valid"), "slices")
            for pool in pools(data, shard)
        ]
        return pl.concat(parts)


def level(count: pl.Expr) -> pl.Expr:
    """Name the level of a count: one of LEVELS."""
    zero, few, warm = (pl.lit(name) for name in LEVELS)
    return pl.when(count < 1).then(zero).when(count < FEW).then(few).otherwise(warm)
