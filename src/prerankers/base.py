"""Row of a recipe: a small ranker on cheap features that cuts the pool."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from src.core.run import Run
from src.features.base import FeatureGroup
from src.rankers.base import ALL, Ranker

if TYPE_CHECKING:
    from src.data.recipe import Recipe

STAGE = "preranker_"
"""Begins the names of the files from which a pre-ranker learns."""


@dataclass(frozen=True)
class PreRanker:
    """Keeps the candidates of each query that a small ranker scores highest.

    The ranker is any ranker with one model for all objectives. It learns from positives and sampled
    negatives of the whole pool, not of what an earlier cut has left. So no good candidate is lost
    for good because it was dropped once.
    """

    ranker: Ranker
    features: tuple[FeatureGroup, ...]  # that the ranker reads: cheap ones
    keep: int  # candidates of a query
    max_train_rows: int = 400_000  # per objective, about

    @property
    def name(self) -> str:
        return self.ranker.name

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where the row does not fit the recipe."""
        if self.keep < recipe.k:
            raise ValueError(f"pre-ranker {self.name}: keep at least {recipe.k}, the metric's k")
        if self.name in {ranker.name for ranker in recipe.rankers}:
            raise ValueError(f"pre-ranker {self.name}: a ranker has this name, take another")
        columns = {self.ranker.score_column(name) for name in recipe.objective_names}
        if columns != {f"{self.name}_{ALL}"}:
            raise ValueError(f"pre-ranker {self.name}: its ranker must be shared by all objectives")
        self.ranker.check(recipe)
        for group in self.features:
            group.check(recipe)


def stage_of(run: Run, row: PreRanker) -> Run:
    """Return the run that trains a pre-ranker: its features and its ranker, on the whole pool."""
    recipe = replace(
        run.recipe, preranker=None, features=row.features, rankers=(row.ranker,),
        max_train_rows=row.max_train_rows,
    )  # fmt: skip
    return replace(run, recipe=recipe, stage=STAGE)
