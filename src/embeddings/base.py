"""Base class of embeddings (step 4), and helpers that all kinds share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from src.core import store
from src.core.arrays import F32, I32
from src.core.parquet import count_rows
from src.core.run import Run, count_built
from src.data import paths
from src.data.sessions import Sessions
from src.data.splits import fitted_split, preceded_split
from src.data.units import check_numbers

if TYPE_CHECKING:
    from src.data.recipe import Recipe

Summary = dict[str, object]
"""Entries of a progress line, beside seconds and memory."""

QueryEncoder = Callable[[Sessions, int, int], F32]
"""Makes the vectors of sessions first : end as `build` does: (objectives, sessions, dim)."""

MAX_HELD_OUT = 4096
"""Sessions, at most, that are held out to stop the training early; also pairs scored in them."""
HELD_OUT_ONE_IN = 20
"""About one session in so many is held out."""
ROWS_AT_A_TIME = 2**16
"""Vectors that are scaled or searched with at a time: bounds the temporary arrays."""
BYTES_PER_EVENT = 18
"""Memory for an event, rounded up: 14 bytes in training, 17 while a split is read."""


@dataclass(frozen=True)
class Embedding(ABC):
    """Makes vectors of all items, and lists the neighbours of every item by them.

    A kind is a subclass in a module of this folder; a recipe holds its rows. Every kind writes
    paths.item_vectors (float32, (items, dim), unit length; 0 for items without a vector) and
    paths.neighbours; some also paths.source_vectors, or paths.query_vectors and query_encoder.
    A split that is fitted to another one has its files: `take` brings them.
    """

    made_ahead: ClassVar[bool] = True  # of the query: from the events of SplitData.fitted
    makes_query_vectors: ClassVar[bool] = False  # whether `build` writes paths.query_vectors
    makes_generator: ClassVar[bool] = False  # whether it writes paths.semantic_ids and .generator
    same_in_splits: ClassVar[bool] = False  # whether an item has the same vector in all splits

    name: str
    top_n: int = field(default=40, kw_only=True)  # neighbours of each item
    max_items: int = field(default=100_000, kw_only=True)
    """Only so many of the most frequent items are listed as neighbours of others."""

    def __post_init__(self) -> None:
        """Raise ValueError where a number is below its bound."""
        check_numbers(f"embedding {self.name}", self)

    def check(self, recipe: Recipe) -> None:  # noqa: B027 - most kinds have nothing to check
        """Raise ValueError where the row does not fit the recipe."""

    def causal(self) -> Self | None:
        """Return the row that `--causal` keeps: by default the row itself, made ahead."""
        return self

    @abstractmethod
    def files(self, run: Run, split: str) -> Sequence[Path]:
        """List the files that `build` makes for a split."""

    @abstractmethod
    def memory(self, run: Run, split: str) -> float:
        """Estimate the bytes at the peak of `build`; docs/embeddings.md has measurements."""

    def query_encoder(self, run: Run, split: str) -> QueryEncoder:
        """Read what makes the vectors of queries that the split does not have."""
        raise ValueError(f"embedding {self.name} makes no vectors of queries")

    @abstractmethod
    def build(self, run: Run, split: str) -> Summary:
        """Make the files of a split that are missing or stale; return what the step prints."""

    def build_files(
        self, run: Run, split: str, make: Callable[[dict[Path, Path]], object], *depends_on: object
    ) -> Summary:
        """Make the files of a split that are missing or stale, in one call of `make`.

        make: writes each of these files (a key) to its temporary path (the value). depends_on: what
        the files depend on beside the row, the seed, the events and the items. Files that a row of
        another kind left under the same name are removed.
        """
        files, fitted = self.files(run, split), fitted_split(run, split)
        if fitted != split:
            self.build(run, fitted)
            self._remove_others(run, split)
            taken = self.take(run, split, fitted)
            return Summary(count_built(file in taken for file in files))

        def make_files(temporary: dict[Path, Path]) -> None:
            run.budget.claim(f"{split} {self.name}", self.memory(run, split))
            self._remove_others(run, split)
            make(temporary)

        row: object = (self, run.recipe.seed, *depends_on)
        inputs = [paths.events(run, split), paths.items(run)]
        built = run.build_many(dict.fromkeys(files, row), make_files, inputs, code=make)
        store.remove(paths.checkpoint(run, split, self.name))
        return Summary(count_built(file in built for file in files))

    def take(self, run: Run, split: str, fitted: str) -> Sequence[Path]:
        """Bring the files of a split up to date from those of the split that it is fitted to.

        Returns the files that were made. They are copies; a kind that makes query vectors encodes
        the queries of the split itself.
        """
        if self.makes_query_vectors and preceded_split(run, fitted) != split:
            raise ValueError(f"embedding {self.name}: {split} needs vectors of its own queries")
        files = zip(self.files(run, split), self.files(run, fitted), strict=True)
        return run.copy(dict(files))

    def _remove_others(self, run: Run, split: str) -> None:
        """Remove the files that a row of another kind left under the same name."""
        files = set(self.files(run, split))
        for file in set(_files_of_all_kinds(run, split, self.name)) - files:
            store.remove(file)


def _files_of_all_kinds(run: Run, split: str, name: str) -> list[Path]:
    file_of = (paths.item_vectors, paths.source_vectors, paths.query_vectors, paths.query_encoder,
               paths.neighbours, paths.semantic_ids, paths.generator,
               paths.embedding_log)  # fmt: skip
    return [path(run, split, name) for path in file_of]


def write_missing(
    temporary: dict[Path, Path], writers: Mapping[Path, Callable[[Path], object]]
) -> None:
    """Call the writers of those files that `temporary` has a path for, each with this path."""
    for path, write in writers.items():
        if path in temporary:
            write(temporary[path])


def training_memory(run: Run, split: str, bytes_per_item: float) -> float:
    """Estimate the bytes of training: bytes_per_item for each item, and those of the events."""
    items, events = count_rows(paths.items(run)), count_rows(paths.events(run, split))
    return bytes_per_item * items + BYTES_PER_EVENT * events


def unit(vectors: F32) -> F32:
    """Scale vectors (n, dim) to length 1; zero vectors stay zero."""
    scaled = np.empty(vectors.shape, np.float32)
    for first in range(0, len(vectors), ROWS_AT_A_TIME):
        rows = slice(first, first + ROWS_AT_A_TIME)
        length = np.linalg.norm(vectors[rows], axis=1, keepdims=True)
        scaled[rows] = vectors[rows] / np.maximum(length, 1e-12)
    return scaled


def save(vectors: F32 | I32, path: Path) -> None:
    """Write an array in the .npy format; given a path, numpy would append .npy to its name."""
    with open(path, "wb") as file:
        np.save(file, vectors)
