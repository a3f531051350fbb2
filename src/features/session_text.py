"""Columns: the vector of the query's text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from src.core.arrays import F32
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.features.base import FeatureGroup, Memory, QueryBatch
from src.texts.base import TextEncoder
from src.texts.session_texts import session_vectors

if TYPE_CHECKING:
    from src.data.recipe import Recipe

LETTERS = 40  # of a text, roughly, to estimate memory


@dataclass(frozen=True)
class SessionTextFeature(FeatureGroup):
    """Writes the first numbers of the vector of the query's text, the same for all candidates.

    A net, such as a cross-encoder, compares them with what it reads of the candidates. They are 0
    for a query without a text. A session without an event is no special case.
    """

    made_ahead: ClassVar[bool] = True

    name: str  # of the columns
    encoder: TextEncoder
    columns: int = 32  # first numbers; 0 where the vector has fewer

    def names(self, recipe: Recipe) -> list[str]:
        return [f"{self.name}_{number}" for number in range(self.columns)]

    def inputs(self, run: Run, split: str) -> list[Path]:
        return [paths.sessions(run, split)]

    def memory(self, run: Run, split: str) -> Memory:
        """Estimate the texts of all sessions, and what the encoder learns from them."""
        n = count_rows(paths.sessions(run, split))
        return Memory(LETTERS * n + self.encoder.memory(n, LETTERS * n))

    def causal(self) -> Self:
        """Return the row itself: the encoder learns ahead."""
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        vectors = session_vectors(batch.data, self.encoder, batch.first, batch.end)
        width = min(self.columns, vectors.shape[1])
        of_rows = np.repeat(vectors[:, :width], np.diff(batch.pool.offsets), axis=0)
        X[:, column : column + width] = of_rows
