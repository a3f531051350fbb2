"""Base class of retrievers (steps 3 and 4); baselines made of retrievers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from src.core.run import Run
from src.data import paths
from src.data.schemas import TopLists
from src.data.split_data import SplitData
from src.data.units import check_numbers

if TYPE_CHECKING:
    from src.data.recipe import Recipe

MAX_LENGTH = 1_000  # of a list; as a rank, from 0, it means that an item is not listed


@dataclass(frozen=True)
class Retriever(ABC):
    """Lists a few items for every query, best first.

    A kind is a subclass in a module of this folder, with a field `top: int`. Retrievers that read
    an embedding run in step 4, all others in step 3.
    """

    made_ahead: ClassVar[bool] = False
    """Whether the row reads what is made from all events, ahead of the query: SplitData.fitted."""

    name: str
    exclude_seen: bool = field(default=False, kw_only=True)  # the query's own items are not listed

    def __post_init__(self) -> None:
        """Raise ValueError where a number is below its bound."""
        check_numbers(f"retriever {self.name}", self)

    @property
    def length(self) -> int:
        """The most items of a list: the field `top`."""
        return int(getattr(self, "top"))  # noqa: B009 - a field of the subclasses

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the matrices and embeddings that the retriever reads."""
        return ()

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where the row does not fit the recipe."""
        if self.length > MAX_LENGTH:
            raise ValueError(f"retriever {self.name}: top is at most {MAX_LENGTH}")
        for table in self.tables:
            recipe.check_neighbours(f"retriever {self.name}", table)

    def inputs(self, run: Run, split: str) -> list[Path]:
        """Return the files that the lists are made from."""
        return [paths.events(run, split), *(paths.neighbours(run, split, t) for t in self.tables)]

    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes of its data for a split, without the sessions."""
        return 0.0

    @abstractmethod
    def causal(self) -> Retriever | None:
        """Return the row whose lists use only data from before the query; None if there is none."""

    @abstractmethod
    def lists(self, data: SplitData, first: int, end: int) -> TopLists:
        """List items and scores for sessions first : end: both (queries, top), best first.

        Ties go by item. Items are -1 and scores 0 where a list ends. The lists do not depend on the
        number of threads. A session without events gets an empty list if its history is needed.
        """


@dataclass(frozen=True)
class Baseline:
    """Concatenation of the lists of retrievers, without repeated items, to compare with."""

    name: str
    retrievers: tuple[str, ...]

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError where a retriever is not in the recipe."""
        if missing := set(self.retrievers) - {row.name for row in recipe.retrievers}:
            raise ValueError(f"baseline {self.name}: no retriever named {sorted(missing)}")
