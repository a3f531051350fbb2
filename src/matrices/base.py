"""What an item-item matrix is (step 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from src.data.split_data import SplitData

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class ItemMatrix(ABC):
    """One matrix: the heaviest neighbours of every item (NEIGHBOURS, src/matrices/neighbours.py).

    A kind is a subclass in a module of this folder; a recipe holds its rows.
    """

    name: str

    def check(self, recipe: Recipe) -> None:  # noqa: B027 - most kinds have nothing to check
        """Raise ValueError where the row does not fit the recipe."""

    def causal(self) -> Self | None:
        """What `--causal` leaves: counted over the whole split, so nothing by default."""
        return None

    @classmethod
    def groups(cls, data: SplitData, rows: Sequence[Self]) -> list[list[Self]]:
        """Rows of this kind in groups that are counted together: each alone by default."""
        return [[row] for row in rows]

    @classmethod
    @abstractmethod
    def write(cls, data: SplitData, parts: dict[Path, Self]) -> None:
        """Count the rows of a group, each into its (temporary) file.

        Claims its memory and disk from the budget first.
        """
