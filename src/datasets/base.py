"""What a dataset is: its recipe, and how its raw files are read and its submission is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.run import Run
from src.data.recipe import Recipe
from src.data.schemas import Lists
from src.datasets.submission_rows import Expected, SubmissionFormat


@dataclass(frozen=True)
class RawFile:
    """A raw file of a competition: its rows, and the milliseconds between which its times lie."""

    name: str  # or a pattern
    rows: int
    first: int
    last: int


@dataclass(frozen=True)
class Source:
    """Where the raw files come from, and what they hold."""

    page: str
    licence: str
    kaggle: str  # what Kaggle's client calls the competition; "" where it is not there
    files: tuple[RawFile, ...]


@dataclass(frozen=True)
class Dataset(ABC):
    """One dataset; a subclass in src/datasets/<name>/dataset.py, registered in src/datasets."""

    recipe: Recipe
    source: Source | None = None  # None: nothing to download

    @property
    def name(self) -> str:
        return self.recipe.name

    @abstractmethod
    def prepare(self, run: Run) -> None:
        """Step 1: turn the raw files in run.input into items.parquet and the splits.

        Raises ValueError or FileNotFoundError, naming file, line and cure, for wrong raw files.
        """

    @abstractmethod
    def write_submission(self, run: Run, split: str, lists: Lists, path: Path) -> None:
        """Step 7: write the lists of a split's queries; ValueError if they would be refused."""

    @abstractmethod
    def submission_format(self) -> SubmissionFormat:
        """How a row of the submission is written."""

    @abstractmethod
    def expected(self, folder: Path) -> Expected:
        """Queries and items of the raw files in a folder: what a submission must and may hold."""

    @abstractmethod
    def read_ground_truth(self, path: Path) -> pl.DataFrame:
        """TRUTH of the labels that were published after the competition."""

    @abstractmethod
    def summarize_raw(self, path: Path) -> tuple[int, int, int]:
        """Rows of a raw file, and its first and last time in ms."""
