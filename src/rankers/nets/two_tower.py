"""Two towers: the inner product of a query vector and an item vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.rankers.nets.base import InputSizes, Net

if TYPE_CHECKING:
    from src.rankers.nets.modules.layers import NetModule


@dataclass(frozen=True)
class TwoTower(Net):
    """A perceptron for the query and one for the candidate; the score is their inner product.

    The query tower reads the columns that are constant within every query, and the mean vector of
    the last events. The item tower reads all other columns and the item's vector. Item vectors hold
    for any query where these columns tell of the item alone.
    """

    width: int = 32  # of the two vectors
    hidden: tuple[int, ...] = (64,)
    dropout: float = 0.0
    dim: int = 16  # of the vectors of items and categories
    max_len: int = 10  # last events of the session that it reads; 0: no session is needed

    def module(self, sizes: InputSizes) -> NetModule:
        """Make the towers; ValueError where one of them has no input."""
        from src.rankers.nets.modules.two_tower import TwoTowerModule

        return TwoTowerModule(self, sizes)
