"""What a group of features is (step 5), and what it is computed from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from src.candidates.pool import Pool
from src.core.arrays import F32, I8, I32, I64
from src.core.run import Run
from src.data.split_data import SplitData
from src.features.weightings_kernel import History, Weighting, weigh_history

if TYPE_CHECKING:
    from src.data.recipe import Recipe

HISTORY_EVENTS = 100  # latest events of a session that are compared with the candidates


class Memory(NamedTuple):
    """Bytes that a group holds for a whole split: in memory, and in files that are mapped."""

    held: float = 0.0
    mapped: float = 0.0


class Events(NamedTuple):
    """All events of a split as CSR: those of session s are offsets[s] : offsets[s + 1]."""

    offsets: I64
    item: I32
    ts: I32
    type: I8


class Candidates(NamedTuple):
    """Candidates of sessions first : first + n as CSR: rows offsets[q] : offsets[q + 1] of X."""

    first: int
    offsets: I64
    item: I32


@dataclass(frozen=True, eq=False)
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

    @property
    def events(self) -> Events:
        sessions = self.data.sessions
        return Events(sessions.offsets, sessions.item, sessions.ts, sessions.type)

    @property
    def candidates(self) -> Candidates:
        return Candidates(self.pool.first, self.pool.offsets, self.pool.item)

    @cached_property
    def query_ts(self) -> I32:
        """Time of each query (int32, seconds): that of its last event."""
        return self.data.query_ts(self.first, self.end)

    @cached_property
    def history(self) -> History:
        """Different items of the last HISTORY_EVENTS events of each query, with their weights."""
        weights = np.array(self.recipe.type_weight, np.float64)
        return weigh_history(self.events, self.first, self.end, HISTORY_EVENTS, weights)

    def context(self, column: str) -> I32:
        """A context column of each query's last event; 0, as where it is unknown, without one."""
        last = self.data.sessions.last_event(self.first, self.end)
        values = np.zeros(last.size, np.int32)
        values[last >= 0] = self.data.context(column)[last[last >= 0]]
        return values


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


def labels(members: Iterable[IntEnum]) -> tuple[str, ...]:
    """Names of members as they stand in recipes and columns: in lower case."""
    return tuple(member.name.lower() for member in members)


WEIGHTINGS = labels(Weighting)


def require_known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError where some names are not among those that are known."""
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"{what}: {unknown} not in {tuple(known)}")
