"""Base class of feature groups (step 5), and the data that they are computed from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np

from src.candidates.pool import Pool
from src.core.arrays import F32, I8, I32, I64
from src.core.run import Run
from src.data.split_data import SplitData
from src.features.weightings_kernel import History, Weighting, weigh_history

if TYPE_CHECKING:
    from src.data.recipe import Recipe

HISTORY_EVENTS = 100  # last events of a session, at most, that are compared with the candidates


class Memory(NamedTuple):
    """Bytes that a feature group holds for a whole split: in memory, and in mapped files."""

    held: float = 0.0
    mapped: float = 0.0


class Events(NamedTuple):
    """Sessions of a split as CSR: events of session s are offsets[s] : offsets[s + 1].

    The fields of Sessions that kernels read; numba takes tuples, not dataclasses.
    """

    offsets: I64
    item: I32
    ts: I32
    type: I8


class Candidates(NamedTuple):
    """Candidates of queries as CSR: those of query q are rows offsets[q] : offsets[q + 1] of X.

    first: dense session of query 0; query q is session first + q. item: of each candidate.
    """

    first: int
    offsets: I64
    item: I32


@dataclass(frozen=True, eq=False)
class QueryBatch:
    """Some consecutive queries with their candidates, from which columns are computed."""

    recipe: Recipe
    data: SplitData
    pool: Pool

    @property
    def first(self) -> int:
        """Dense session of the first query."""
        return self.pool.first

    @property
    def end(self) -> int:
        """Dense session after the last query."""
        return self.pool.end

    @property
    def events(self) -> Events:
        """Events of all sessions of the split, for kernels."""
        sessions = self.data.sessions
        return Events(sessions.offsets, sessions.item, sessions.ts, sessions.type)

    @property
    def candidates(self) -> Candidates:
        """Candidates of the batch, for kernels."""
        return Candidates(self.pool.first, self.pool.offsets, self.pool.item)

    @cached_property
    def query_ts(self) -> I32:
        """Time of each query (int32, seconds): that of its last event, see SplitData.query_ts."""
        return self.data.query_ts(self.first, self.end)

    @cached_property
    def history(self) -> History:
        """Items of the last HISTORY_EVENTS events of each query, with their weights."""
        weights = np.array(self.recipe.type_weight, np.float64)
        return weigh_history(self.events, self.first, self.end, HISTORY_EVENTS, weights)

    def context(self, column: str) -> I32:
        """Context of each query's last event, int32; 0 where unknown or without an event."""
        last = self.data.sessions.last_event(self.first, self.end)
        values = np.zeros(last.size, np.int32)
        values[last >= 0] = self.data.context(column)[last[last >= 0]]
        return values


@dataclass(frozen=True)
class FeatureGroup(ABC):
    """Computes some columns of the candidates.

    A kind is a subclass in a module of this folder; a recipe holds its rows. The columns of X stand
    in the order of the rows.
    """

    made_ahead: ClassVar[bool] = False
    """Whether the row reads what is made from all events, ahead of the query: SplitData.fitted."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the matrices and embeddings that the row reads, where it reads nothing else."""
        return ()

    def check(self, recipe: Recipe) -> None:  # noqa: B027 - some kinds have nothing to check
        """Raise ValueError where the row does not fit the recipe."""

    @abstractmethod
    def names(self, recipe: Recipe) -> list[str]:
        """Return the names of the columns, in order."""

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        """Return the indices of the columns that also get a rank within the query."""
        return ()

    def all_names(self, recipe: Recipe) -> list[str]:
        """Return the names of the columns and of their ranks."""
        names = self.names(recipe)
        return [*names, *(f"{names[column]}_rank" for column in self.ranked(recipe))]

    def inputs(self, run: Run, split: str) -> list[Path]:
        """List the files that the columns are computed from, beside events and pool."""
        return []

    def memory(self, run: Run, split: str) -> Memory:
        """Estimate the bytes that the group holds while a split is computed."""
        return Memory()

    @abstractmethod
    def causal(self) -> Self | None:
        """Return the row with columns that see nothing after the query; None if there are none."""

    def merge(self, other: FeatureGroup) -> FeatureGroup | None:
        """Return one row for both, if `causal` has made them equal; None if they differ."""
        return self if self == other else None

    def prepare(self, data: SplitData) -> None:  # noqa: B027 - most kinds have nothing to make
        """Make the files of a split that `fill` reads, where the engine makes them."""

    @abstractmethod
    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        """Write the columns X[:, column : column + len(names)]; they hold zeros before.

        X: float32 (candidates, columns of all groups). The docstring of a kind says what its
        columns hold for a session without an event.
        """

    def fill_given(self, offsets: I64, values: F32, X: F32, column: int) -> None:
        """Write the columns from the given columns alone (src/export); few kinds can.

        offsets: CSR of the lists. values: float32 (candidates, given columns), NaN where missing.
        Raises ValueError where the kind reads more.
        """
        raise ValueError(f"{type(self).__name__} reads more than given columns; give its features")


def lower_names(members: Iterable[IntEnum]) -> tuple[str, ...]:
    """Return the names of enum members in lower case, as in recipes and columns."""
    return tuple(member.name.lower() for member in members)


WEIGHTINGS = lower_names(Weighting)


def require_known(row: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError unless all names are among the known ones; row: begins the message."""
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"{row}: {unknown} not in {tuple(known)}")
