"""Columns: what the ratings of the item and of the session let one expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from numba import get_num_threads

from src.core.arrays import F32
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.ratings import Ratings
from src.features.base import FeatureGroup, Memory, QueryBatch, lower_names
from src.features.rating_kernel import RatingColumn, rating_columns
from src.matrices.neighbours import all_neighbours

if TYPE_CHECKING:
    from src.data.recipe import Recipe

BYTES_PER_RATING = 72.0  # while ratings are read, measured


@dataclass(frozen=True)
class RatingFeature(FeatureGroup):
    """Computes the biases of the candidate and the session, and the ratings of its neighbours.

    Needs a column `rating` of the events. A session without an event has a bias of 0 and no
    neighbours.
    """

    matrix: str  # whose neighbours count

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where the matrix is missing."""
        recipe.check_neighbours("rating feature", self.matrix)

    def names(self, recipe: Recipe) -> list[str]:
        return [f"rating_{name}" for name in lower_names(RatingColumn)]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        return (RatingColumn.ITEM, RatingColumn.EXPECTED)

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.neighbours(run, split, self.matrix)]

    def memory(self, run: Run, split: str) -> Memory:
        """Count ratings while they are read, and marks of all items per thread; map neighbours."""
        items, events = count_rows(paths.items(run)), count_rows(paths.events(run, split))
        held = BYTES_PER_RATING * events + 16 * items * (1 + run.engine.threads)
        return Memory(held, 8.0 * count_rows(paths.neighbours(run, split, self.matrix)))

    def causal(self) -> None:
        """Return None: biases and matrix depend on the whole split."""

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        ratings, near = Ratings.read(batch.data), all_neighbours(batch.data, self.matrix)
        rating_columns(
            batch.events, batch.candidates, ratings.residual, ratings.mean, ratings.item,
            ratings.item_count, ratings.session, ratings.session_count, near.offsets, near.item,
            near.weight, get_num_threads(), column, X,
        )  # fmt: skip
