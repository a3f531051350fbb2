"""What a group of features is (step 5), and what it is computed from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from src.candidates.pool import Pool
from src.core.arrays import F32
from src.core.run import Run
from src.data.split_data import SplitData

if TYPE_CHECKING:
    from src.data.recipe import Recipe


class Memory(NamedTuple):
    """Bytes that a group holds for a whole split: in memory, and in files that are mapped."""

    held: float = 0.0
    mapped: float = 0.0


@dataclass(frozen=True)
class Block:
    """Some queries with their candidates: what columns are computed from."""

    recipe: Recipe
    data: SplitData
    pool: Pool

    @property
    def first(self) -> int:
        """Dense session of the first query."""
        return self.pool.first

    @property
    def end(self) -> int:
        """Dense session behind the last query."""
        return self.pool.first + self.pool.offsets.size - 1


@dataclass(frozen=True)
class FeatureGroup(ABC):
    """Some columns that are computed together.

    A kind is a subclass in a module of this folder; a recipe holds its rows, and the columns stand
    in the order of the rows.
    """

    def check(self, recipe: Recipe) -> None:  # noqa: B027 - some kinds have nothing to check
        """Raise ValueError where the row does not fit the recipe."""

    @abstractmethod
    def names(self, recipe: Recipe) -> list[str]:
        """Names of the columns, in order."""

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        """Numbers of the columns that also get a rank within the query."""
        return ()

    def all_names(self, recipe: Recipe) -> list[str]:
        """Names of the columns and of their ranks."""
        names = self.names(recipe)
        return [*names, *(f"{names[column]}_rank" for column in self.ranked(recipe))]

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Files that the columns are computed from, beside events and pool."""
        return []

    def memory(self, run: Run, split: str) -> Memory:
        """What the group holds while a split is worked through."""
        return Memory()

    @abstractmethod
    def causal(self) -> Self | None:
        """What `--causal` leaves: columns that see nothing later than the query; or None."""

    def merge(self, other: FeatureGroup) -> FeatureGroup | None:
        """Both in one, where they have become the same; None where they are different."""
        return self if self == other else None

    @abstractmethod
    def fill(self, block: Block, X: F32, column: int) -> None:
        """Write the columns X[:, column : column + len(names)]; X comes filled with zeros.

        X: float32 (candidates, all columns). A session without an event has no history: the
        docstring of the kind says what its columns then hold.
        """
