"""Base class of text encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from src.core import code, store
from src.core.arrays import F32

Encode = Callable[[Sequence[str]], F32]
"""Encodes texts that are not empty: float32 (texts, dim)."""


@dataclass(frozen=True)
class TextEncoder(ABC):
    """Makes vectors of texts: of items, of queries, of anything.

    A kind is a subclass in a module of this folder; rows of recipes hold it as a field. Use it
    through `src/texts/vectors.py`, which gives empty texts the vector 0 and keeps what it may.
    """

    learns: ClassVar[bool]
    """Whether a vector depends on the texts that `fit` saw. If not, it is kept for later runs."""

    @abstractmethod
    def fit(self, texts: Sequence[str]) -> Encode:
        """Learn from the texts of training, distinct and not empty; return what encodes any.

        Raises ValueError, with the cure, where nothing can be learned from them, and
        FileNotFoundError or ValueError where a model on disk is missing or is none.
        """

    @abstractmethod
    def memory(self, texts: int, characters: int) -> float:
        """Estimate the bytes at the peak of `fit` and of encoding so many texts."""

    @property
    def most_numbers(self) -> int:
        """The most numbers of a vector, to estimate memory."""
        return 1_024

    def content_hash(self) -> str:
        """Hash what the encoder reads from disk; "" where it reads nothing.

        Keys of files have it (src/core/store.py), so that another model makes them anew.
        """
        return ""

    def identity(self) -> str:
        """Hash all that a vector depends on beside the texts: row, files and code."""
        return store.digest([self, code.version(self)])
