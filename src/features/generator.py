"""Column: log likelihood of the candidate as the item that a generator generates next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from src.core.arrays import F32
from src.core.run import Run
from src.features.base import FeatureGroup, Memory, QueryBatch
from src.generation.of_split import (
    generation_inputs,
    generation_memory,
    generation_of,
    histories,
)

if TYPE_CHECKING:
    from src.data.recipe import Recipe

QUERIES_AT_A_TIME = 64


@dataclass(frozen=True)
class GeneratorFeature(FeatureGroup):
    """Computes how likely a generator generates the candidate for the query, and the rank of this.

    NaN for an item without an id. For a session without an event: the likelihood as a first item,
    given its text if the generator reads texts.
    """

    made_ahead: ClassVar[bool] = True

    model: str  # name of an embedding that generates

    def check(self, recipe: Recipe) -> None:
        recipe.check_generator("generator feature", self.model)

    def names(self, recipe: Recipe) -> list[str]:
        return [f"{self.model}_log_likelihood"]

    def ranked(self, recipe: Recipe) -> Sequence[int]:
        return (0,)

    def inputs(self, run: Run, split: str) -> list[Path]:
        return generation_inputs(run, split, self.model)

    def memory(self, run: Run, split: str) -> Memory:
        """Count the net and the ids, and the states of some queries' candidates."""
        prefixes = QUERIES_AT_A_TIME * run.recipe.pool_size
        return Memory(generation_memory(run, split, self.model, prefixes))

    def causal(self) -> Self:
        return self

    def fill(self, batch: QueryBatch, X: F32, column: int) -> None:
        generation, pool = generation_of(batch.data, self.model), batch.pool
        for low in range(0, pool.offsets.size - 1, QUERIES_AT_A_TIME):
            offsets = pool.offsets[low : low + QUERIES_AT_A_TIME + 1]
            session = pool.first + low
            items, text = histories(batch.data, self.model, session, session + offsets.size - 1)
            rows = slice(offsets[0], offsets[-1])
            X[rows, column] = generation.log_likelihood(
                items, offsets - offsets[0], pool.item[rows], text
            )
