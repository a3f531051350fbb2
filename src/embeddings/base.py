"""What an embedding is (step 4), and what all kinds share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from src.core import store
from src.core.arrays import F32
from src.core.parquet import count_rows
from src.core.run import Run, count_built
from src.data import paths

if TYPE_CHECKING:
    from src.data.recipe import Recipe

Summary = dict[str, object]
"""Entries of a progress line, beside seconds and memory."""

HELD_OUT = 4096
"""Positions or pairs, at most, that are not trained on; at most a twentieth of the sessions."""
ROWS_AT_A_TIME = 2**16
"""Vectors that are scaled or looked up at a time: bounds the temporary arrays."""
BYTES_PER_EVENT = 18
"""In memory: 14 in training, 17 while a split is read."""


@dataclass(frozen=True)
class Embedding(ABC):
    """Vectors of all items, and the neighbours of every item by them.

    A kind is a subclass in a module of this folder; a recipe holds its rows. Every kind writes
    paths.item_vectors (float32, (items, dim), unit length; 0 for items without a vector) and
    paths.neighbours; some also paths.source_vectors or paths.query_vectors.

    top_n: neighbours of each item. max_items: only so many of the most frequent items are anyone's
    neighbours.
    """

    makes_query_vectors: ClassVar[bool] = False  # paths.query_vectors, for every objective

    name: str
    top_n: int = field(default=40, kw_only=True)
    max_items: int = field(default=100_000, kw_only=True)

    def __post_init__(self) -> None:
        """Raise ValueError where a whole number is below 1: all of them are counts."""
        for name, value in vars(self).items():
            if isinstance(value, int) and value < 1:
                raise ValueError(f"embedding {self.name}: {name} is at least 1")

    def check(self, recipe: Recipe) -> None:  # noqa: B027 - most kinds have nothing to check
        """Raise ValueError where the row does not fit the recipe."""

    def causal(self) -> Self | None:
        """What `--causal` leaves: trained on the whole split, so nothing by default."""
        return None

    @abstractmethod
    def files(self, run: Run, split: str) -> Sequence[Path]:
        """All files that it makes for a split."""

    @abstractmethod
    def memory(self, run: Run, split: str) -> float:
        """Bytes that training takes at its peak: measured, docs/embeddings.md has the table."""

    @abstractmethod
    def build(self, run: Run, split: str) -> Summary:
        """Bring its files of a split up to date."""

    def build_files(
        self, run: Run, split: str, make: Callable[[dict[Path, Path]], object], *depends_on: object
    ) -> Summary:
        """Call `make` with the files that are not up to date, and their temporary paths.

        Files that a row of another kind left under this name are removed. depends_on: what the
        files depend on beside the row, the seed, the events and the items.
        """
        files = self.files(run, split)

        def make_files(parts: dict[Path, Path]) -> None:
            run.budget.claim(f"{split} {self.name}", self.memory(run, split))
            for file in set(_files_of_all_kinds(run, split, self.name)) - set(files):
                _remove(file)
            make(parts)

        row: object = (self, run.recipe.seed, *depends_on)
        inputs = [paths.events(run, split), paths.items(run)]
        built = run.build_many(dict.fromkeys(files, row), make_files, inputs, code=make)
        _remove(paths.checkpoint(run, split, self.name))
        return Summary(count_built(file in built for file in files))


def _files_of_all_kinds(run: Run, split: str, name: str) -> list[Path]:
    file_of = (paths.item_vectors, paths.source_vectors, paths.query_vectors, paths.neighbours,
               paths.embedding_log)  # fmt: skip
    return [path(run, split, name) for path in file_of]


def _remove(file: Path) -> None:
    """Remove a file and its manifest, where they are there."""
    for path in (file, store.manifest_path(file)):
        path.unlink(missing_ok=True)


def write_missing(
    parts: dict[Path, Path], writers: Mapping[Path, Callable[[Path], object]]
) -> None:
    """Write those files that are not up to date, each to its temporary path."""
    for path, write in writers.items():
        if path in parts:
            write(parts[path])


def training_memory(run: Run, split: str, bytes_per_item: float) -> float:
    """Bytes of training: the events, and so many for each item."""
    items, events = count_rows(paths.items(run)), count_rows(paths.events(run, split))
    return bytes_per_item * items + BYTES_PER_EVENT * events


def unit(vectors: F32) -> F32:
    """Scale rows to length 1; zero rows stay zero."""
    scaled = np.empty(vectors.shape, np.float32)
    for first in range(0, len(vectors), ROWS_AT_A_TIME):
        rows = slice(first, first + ROWS_AT_A_TIME)
        length = np.linalg.norm(vectors[rows], axis=1, keepdims=True)
        scaled[rows] = vectors[rows] / np.maximum(length, 1e-12)
    return scaled


def save(vectors: F32, path: Path) -> None:
    """Write vectors as .npy, whatever the ending of the path."""
    with open(path, "wb") as file:
        np.save(file, vectors)
