"""List the items of the session's own history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.candidates import history_kernel
from src.candidates.base import Retriever
from src.candidates.seeds import Seeds
from src.data.schemas import TopLists
from src.data.split_data import SplitData

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class HistoryRetriever(Retriever):
    """Lists the seed items themselves, by weight."""

    seeds: Seeds
    top: int = 100

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError if weights lack an event type."""
        super().check(recipe)
        recipe.check_weights(f"retriever {self.name}", self.seeds.type_weight)

    def causal(self) -> Self:
        """Return the row itself, as it reads only the history."""
        return self

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Sort the seeds of each query."""
        return history_kernel.history_lists(*self.seeds.select(data, first, end), self.top)
