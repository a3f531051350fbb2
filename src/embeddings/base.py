"""What an embedding is (step 4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from src.core.run import Run

if TYPE_CHECKING:
    from src.data.recipe import Recipe

Summary = dict[str, object]
"""What a progress line tells beside seconds and memory."""


@dataclass(frozen=True)
class Embedding(ABC):
    """Vectors of all items, and the neighbours of every item by them.

    A kind is a subclass in a module of this folder; a recipe holds its rows. Every kind writes
    paths.item_vectors (float32, (items, dim), unit length; 0 for items without a vector) and
    paths.neighbours; some also paths.source_vectors or paths.query_vectors.
    """

    makes_query_vectors: ClassVar[bool] = False  # paths.query_vectors, for every objective

    name: str

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
