"""Give items that an embedding does not know vectors in its space, made from their texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import F32, I64
from src.core.run import Run
from src.data import paths
from src.data.sessions import Sessions
from src.data.vectors import load
from src.embeddings.base import Embedding, Summary, save, training_memory, unit, write_missing
from src.embeddings.neighbours import write_neighbours_by_cosine
from src.embeddings.vector_map import VectorMap

if TYPE_CHECKING:
    from src.data.recipe import Recipe


@dataclass(frozen=True)
class FallbackEmbedding(Embedding):
    """Takes the vectors of another embedding, and fills those of items with few events.

    A map from the vectors of texts is fitted on items with both vectors and `min_events` events or
    more. It gives their vectors to all other items that have a text. Of an embedding with source
    vectors, these are filled likewise. Neighbours are ordered by cosine x ln(2 + events), so that
    items without an event are among them.
    """

    embedding: str  # that is filled; an earlier row
    texts: str  # embedding of the same items that knows the others; an earlier row
    map: VectorMap
    min_events: int = 5

    def check(self, recipe: Recipe) -> None:
        """Raise ValueError unless both embeddings are earlier rows."""
        names = [row.name for row in recipe.embeddings]
        for name in (self.embedding, self.texts):
            if name not in names[: names.index(self.name)]:
                raise ValueError(f"embedding {self.name}: no embedding {name} before it")

    def files(self, run: Run, split: str) -> Sequence[Path]:
        """List the files of item vectors and neighbours, of source vectors if there are some."""
        file_of = [paths.item_vectors, paths.neighbours]
        row = next(row for row in run.recipe.embeddings if row.name == self.embedding)
        if paths.source_vectors(run, split, self.embedding) in row.files(run, split):
            file_of.append(paths.source_vectors)
        return [path(run, split, self.name) for path in file_of]

    def memory(self, run: Run, split: str) -> float:
        """Count the vectors of texts twice; those that are filled four times, of both files."""
        dims = [paths.item_vectors(run, split, name) for name in (self.texts, self.embedding)]
        texts, filled = (load(file).shape[1] if file.exists() else 64 for file in dims)
        return training_memory(run, split, 4 * (2 * texts + 8 * filled))

    def build(self, run: Run, split: str) -> Summary:
        """Fill the vectors; write them, and the neighbours by events of a split."""
        files = [paths.item_vectors(run, split, self.texts)]
        files += [path(run, split, self.embedding)
                  for path in (paths.item_vectors, paths.source_vectors)]  # fmt: skip
        filled: Summary = {}

        def make(temporary: dict[Path, Path]) -> None:
            count = Sessions.load(run, split).count_items()
            texts, vectors = load(files[0]), load(files[1])
            new = self.filled(texts, vectors, count)
            filled["filled items"] = int((new != vectors).any(axis=1).sum())
            sources = self.filled(texts, load(files[2]), count) if files[2].exists() else new
            write_missing(temporary, {
                paths.item_vectors(run, split, self.name): partial(save, new),
                paths.source_vectors(run, split, self.name): partial(save, sources),
                paths.neighbours(run, split, self.name): partial(
                    write_neighbours_by_cosine, self, new, count + 1, sources=sources
                ),
            })  # fmt: skip

        depends_on = [run.fingerprint(file) for file in files]
        return self.build_files(run, split, make, depends_on) | filled

    def filled(self, texts: F32, vectors: F32, count: I64) -> F32:
        """Fill the vectors of items with few events: unit vectors (items, dim).

        count: events of each item. Raises ValueError where no item has both vectors and enough
        events.
        """
        has_text, has_vector = texts.any(axis=1), vectors.any(axis=1)
        warm = has_vector & (count >= self.min_events)
        both, few = np.flatnonzero(has_text & warm), np.flatnonzero(has_text & ~warm)
        if not both.size:
            raise ValueError(
                f"embedding {self.name}: no item with {self.min_events} events has vectors of "
                f"{self.texts} and {self.embedding}; lower min_events, or leave the row out"
            )
        new = np.array(vectors, np.float32)
        if few.size:
            new[few] = unit(self.map.fit(texts[both], vectors[both])(texts[few]))
        return new
