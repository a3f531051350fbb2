"""What a retriever is (steps 3 and 4), and the lists that the pipeline is measured against."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.split_data import SplitData

if TYPE_CHECKING:
    from src.data.recipe import Recipe

LONGEST = 255  # ranks of a list are uint8, and 255 stands for "not listed"


@dataclass(frozen=True)
class Retriever(ABC):
    """Gives every query a short list of items, best first.

    A kind is a subclass in a module of this folder, with `top: int` among its fields; a recipe
    holds its rows. A retriever that reads an embedding runs in step 4, all others in step 3.
    """

    name: str

    @property
    def length(self) -> int:
        """Items of a list, at most: the field `top`."""
        return int(getattr(self, "top"))  # noqa: B009 - declared by the subclasses, with defaults

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the matrices and embeddings that it reads."""
        return ()

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where the row does not fit the recipe."""
        if not 1 <= self.length <= LONGEST:
            raise ValueError(f"retriever {self.name}: top is from 1 to {LONGEST}")
        for table in self.tables:
            recipe.check_neighbours(f"retriever {self.name}", table)

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Files that the lists are made from."""
        return [paths.events(run, split), *(paths.neighbours(run, split, t) for t in self.tables)]

    def memory(self, run: Run, split: str) -> float:
        """Bytes that it holds for a whole split, beside the sessions."""
        return 0.0

    @abstractmethod
    def causal(self) -> Retriever | None:
        """What `--causal` leaves of it: lists made from what was known at the query; or None."""

    @abstractmethod
    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """Items and scores for sessions first : end, both (queries, top), best first.

        Ties go by item; -1 and 0 where a list ends. The same on any number of threads. A session
        without an event gets an empty list where its history is needed.
        """


@dataclass(frozen=True)
class Baseline:
    """A list without a model: those of retrievers one after the other, first occurrence kept."""

    name: str
    retrievers: tuple[str, ...]

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where a retriever is not in the recipe."""
        if missing := set(self.retrievers) - {row.name for row in recipe.retrievers}:
            raise ValueError(f"baseline {self.name}: no retriever named {sorted(missing)}")
