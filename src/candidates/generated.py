"""List the items that a generator generates for the query, by beam search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from src.candidates.base import Retriever
from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.split_data import SplitData
from src.generation.of_split import (
    generation_inputs,
    generation_memory,
    generation_of,
    histories,
)

if TYPE_CHECKING:
    from src.data.recipe import Recipe

QUERIES_AT_A_TIME = 256


@dataclass(frozen=True)
class GeneratedRetriever(Retriever):
    """Lists the items of the likeliest ids; the score is the log likelihood.

    A query without events gets the list of a session that begins, with its text if the generator
    reads texts. The search finds `beams` items, whatever else is asked for at a time. So where a
    recipe leaves out what a query has seen, lists may be shorter than `top`.
    """

    made_ahead: ClassVar[bool] = True

    model: str  # name of an embedding that generates
    top: int = 50
    beams: int = 64  # prefixes of ids that the search keeps

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.model,)

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError if the recipe lacks the generator."""
        super().check(recipe)
        recipe.check_generator(f"retriever {self.name}", self.model)
        if self.beams < self.top:
            raise ValueError(f"retriever {self.name}: beams is at least top")

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Return the events, the ids and the net, and what the vectors of texts depend on."""
        return [paths.events(run, split), *generation_inputs(run, split, self.model)]

    def memory(self, run: Run, split: str) -> float:
        """Count the net and the ids, and the states of the beams."""
        return generation_memory(run, split, self.model, QUERIES_AT_A_TIME * self.beams)

    def causal(self) -> Self:
        """Return the row itself: the net is trained ahead."""
        return self

    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Search the likeliest items of each query."""
        generation = generation_of(data, self.model)
        item = np.full((end - first, self.top), -1, np.int32)
        score = np.zeros(item.shape, np.float32)
        width = min(self.beams, self.top)
        for low in range(first, end, QUERIES_AT_A_TIME):
            high = min(low + QUERIES_AT_A_TIME, end)
            items, text = histories(data, self.model, low, high)
            lists = generation.lists(items, self.beams, text)
            rows = slice(low - first, high - first)
            item[rows, :width], score[rows, :width] = (column[:, :width] for column in lists)
        return item, score
