"""List the items nearest to the query's vector in a two-tower model, by exact search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np

from src.candidates.base import Retriever
from src.core import nearest
from src.core.arrays import F32, I64, most_frequent
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.sessions import Sessions
from src.data.split_data import SplitData
from src.data.splits import fitted_split
from src.data.vectors import item_vectors, query_vectors

if TYPE_CHECKING:
    from src.data.recipe import Recipe


class SearchedItems(NamedTuple):
    """The most frequent items of a split, ascending, and their vectors."""

    item: I64
    vectors: F32


@dataclass(frozen=True)
class TwoTowerRetriever(Retriever):
    """Lists the items nearest to the query's vector of one objective."""

    made_ahead: ClassVar[bool] = True

    model: str  # name of an embedding with query vectors
    objective: int  # number in Recipe.objectives
    max_items: int = 100_000  # most frequent items that are searched
    top: int = 100

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.model,)

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError if the recipe lacks the model or the objective."""
        super().check(recipe)
        recipe.check_query_vectors(f"retriever {self.name}", self.model)
        if not 0 <= self.objective < len(recipe.objectives):
            raise ValueError(f"retriever {self.name}: no objective {self.objective}, count from 0")

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Return the events, and the vectors of items and queries."""
        vectors = (paths.item_vectors, paths.query_vectors)
        events = paths.events(run, fitted_split(run, split))
        return [events, *(path(run, split, self.model) for path in vectors)]

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of the vectors of the searched items, and of the sessions counted."""
        items = max(count_rows(paths.items(run)), 1)
        size = paths.total_size([paths.item_vectors(run, split, self.model)])
        return size * min(self.max_items, items) / items + Sessions.fitted_memory(run, split)

    def causal(self) -> Self:
        """Return the row itself: the model is trained ahead."""
        return self

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Search the items nearest to each query's vector; a zero vector gets an empty list."""
        items = data.cached(
            ("searched items", self.model, self.max_items), lambda: self._searched_items(data)
        )
        queries = query_vectors(data, self.model, first, end)[self.objective]
        row, score = nearest.nearest(queries, items.vectors, self.top)
        listed = (row >= 0) & queries.any(axis=1)[:, None]
        return (
            np.where(listed, items.item[row].astype(np.int32), np.int32(-1)),
            np.where(listed, score, np.float32(0.0)),
        )

    def _searched_items(self, data: SplitData) -> SearchedItems:
        count = data.fitted.sessions.count_items()
        items = most_frequent(count, self.max_items)
        return SearchedItems(items, item_vectors(data, self.model)[items])
