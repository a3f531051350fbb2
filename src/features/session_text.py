"""Columns: the vector of the query's text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from src.core.arrays import F32
from src.core.run import Run
from src.features.base import FeatureGroup, Memory, QueryBatch
from src.texts.base import TextEncoder
from src.texts.session_texts import session_vectors, text_inputs, text_memory

if TYPE_CHECKING:
    from src.data.recipe import Recipe


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
        return text_inputs(run, split)

    def memory(self, run: Run, split: str) -> Memory:
        return Memory(text_memory(run, split, self.encoder))

    def causal(self) -> Self:
        """Return the row itself: the encoder learns ahead."""
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        try:
            vectors = session_vectors(batch.data, self.encoder, batch.first, batch.end)
        except ValueError as error:
            raise ValueError(f"feature {self.name}: {error}; leave the row out") from None
        width = min(self.columns, vectors.shape[1])
        of_rows = np.repeat(vectors[:, :width], np.diff(batch.pool.offsets), axis=0)
        X[:, column : column + width] = of_rows
