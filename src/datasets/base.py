"""Define datasets: a recipe, a reader of raw files, and a writer of submissions."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import polars as pl

from src.core.run import Run
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.datasets import judged_rows, submission_rows
from src.datasets.submission_rows import Expected, SubmissionFormat
from src.export.lists import RawLists
from src.metrics.base import WHOLE_LIST


@dataclass(frozen=True)
class RawFile:
    """Figures of a raw file that the competition published."""

    name: str  # or a glob pattern
    rows: int
    first: int  # ms since 1970: no time is earlier
    last: int  # ms since 1970: no time is later


class RawSummary(NamedTuple):
    """Figures of a raw file at hand."""

    rows: int
    first: int  # ms since 1970: the earliest time
    last: int  # the latest time


@dataclass(frozen=True)
class Source:
    """Where to download the raw files."""

    page: str
    licence: str
    kaggle: str  # Kaggle's name of the competition; "" for one on another site
    files: tuple[RawFile, ...]  # none: there are several versions, of other figures


class Checked(NamedTuple):
    """Result of a check of a submission."""

    faults: list[str]  # with lines and cures, MAX_FAULTS at most
    right: str  # what a right file holds


@dataclass(frozen=True)
class Dataset(ABC):
    """One dataset: a subclass in src/datasets/<name>/dataset.py, registered in src/datasets."""

    submission: ClassVar[str] = "submission.csv"
    """Name of the submission in the output folder."""
    ranks_all: ClassVar[bool] = False
    """Whether a submission ranks all candidates of a query; else the first k of the metric."""

    simulates: ClassVar[bool] = False
    """Whether step 1 makes the raw files where there are none."""

    recipe: Recipe
    source: Source | None = None  # of a download; None: there is none

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def list_length(self) -> int:
        """Items of a list that any metric may count."""
        return WHOLE_LIST if self.ranks_all else self.recipe.k

    @classmethod  # noqa: B027 - most have none
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags that only this dataset has."""

    def configure(self, args: argparse.Namespace) -> Self:
        """Return the dataset with the recipe that its flags, and what step 1 found, ask for.

        args: of all scripts and tools; `args.output` is the folder of the results, where step 1 may
        have left what it found. Raises ValueError for flags that do not fit.
        """
        return self

    @abstractmethod
    def prepare(self, run: Run) -> None:
        """Turn the raw files in run.input into items.parquet, the splits and splits.json (step 1).

        Raises ValueError or FileNotFoundError, naming file, line and cure, for wrong raw files.
        """

    @abstractmethod
    def write_submission(self, run: Run, split: str, lists: FinalLists, path: Path) -> None:
        """Write the lists of a split's queries (step 7).

        Raises ValueError where the competition would refuse them.
        """

    def submission_format(self) -> SubmissionFormat:
        """Describe the rows of a submission, if it has a row per query."""
        raise NotImplementedError(f"a submission of {self.name} has no row per query")

    def expected(self, folder: Path) -> Expected:
        """Read the queries that need rows, and the possible items, from raw files."""
        raise NotImplementedError(f"a submission of {self.name} has no row per query")

    def check_submission(self, path: Path, folder: Path) -> Checked:
        """Check a submission as the competition does, against the raw files in a folder."""
        fmt, expected = self.submission_format(), self.expected(folder)
        queries, items = expected.queries.size, expected.items
        of = "any items" if items is None else f"{items.size:,} items"
        right = f"{queries * len(fmt.objectives):,} rows for {queries:,} queries, of {of}"
        if items is None:
            right += "\n(whether the items exist was not checked: a raw file is missing)"
        return Checked(submission_rows.check(path, fmt, expected), right)

    def judged_items(self, path: Path, truth: pl.DataFrame) -> pl.DataFrame:
        """List the judged items of a submission: session, objective, item, grade, rank from 0.

        A dataset with a pooled metric adds `score`, the probability that the file gives the item.
        truth: a TRUTH table; ids are as there. Raises ValueError, naming the line, where the file
        cannot be scored.
        """
        return judged_rows.judged_items(path, self.submission_format(), truth)

    def listed_items(self, path: Path, truth: pl.DataFrame) -> pl.DataFrame:
        """Count how often each item, judged or not, is in a list of the truth's queries: item, n.

        Ids are as in the truth, whose file was read by `judged_items` before.
        """
        return judged_rows.listed_items(path, self.submission_format(), truth)

    def own_scores(
        self, lists: pl.DataFrame, truth: pl.DataFrame, labels: Path
    ) -> pl.DataFrame | None:
        """Score lists by metrics that only this dataset has, in rows of kinds of queries.

        lists: session, item, rank from 0, in raw ids. truth: TRUTH, read from the file `labels`.
        Returns None where there are no such metrics.
        """
        return None

    def raw_files(self, run: Run) -> list[Path]:
        """List the files of step 1 that `read_raw` needs in a bundle, beside logs and items."""
        return []

    def read_raw(self, path: Path, folder: Path) -> RawLists:
        """Read raw impressions for a bundle; folder: of its logs and `raw_files`.

        Raises ValueError, naming the row, for what the bundle cannot score.
        """
        raise ValueError(f"a bundle of {self.name} scores no raw file; give feature rows")

    @abstractmethod
    def read_ground_truth(self, path: Path) -> pl.DataFrame:
        """Read the labels that were published after the competition, as a TRUTH table."""

    def summarize_raw(self, path: Path) -> RawSummary:
        """Count the rows of a raw file, and find its first and last time."""
        raise NotImplementedError(f"the files of {self.name} have no published figures")
