"""OTTO, Multi-Objective Recommender System (Kaggle 2022-23)."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import polars as pl

from src.core.run import FIRST_STEP, Run
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.datasets.base import Dataset, RawFile, RawSummary, Source
from src.datasets.otto import ground_truth, inspect_raw, submission
from src.datasets.otto.recipe import RECIPE
from src.datasets.otto.split import make_splits
from src.datasets.otto.types import found_types
from src.datasets.present_types import with_types
from src.datasets.submission_rows import Expected, SubmissionFormat

SOURCE = Source(  # figures of the organisers; a row is a session
    page="https://www.kaggle.com/competitions/otto-recommender-system",
    licence="CC-BY 4.0",
    kaggle="otto-recommender-system",
    files=(
        RawFile("train.jsonl*", 12_899_779, 1_659_304_800_000, 1_661_723_999_999),
        RawFile("test.jsonl*", 1_671_803, 1_661_724_000_000, 1_662_328_791_999),
    ),
)


@dataclass(frozen=True)
class Otto(Dataset):
    """Sessions of clicks, carts and orders in JSON lines; a list per session and objective."""

    recipe: Recipe = RECIPE
    source: Source | None = SOURCE

    def configure(self, args: argparse.Namespace) -> Self:
        """Keep the objectives of the event types that step 1 found."""
        if getattr(args, "script", "") == FIRST_STEP:
            return self
        return replace(self, recipe=with_types(self.recipe, found_types(args.output, self.recipe)))

    def prepare(self, run: Run) -> None:
        make_splits(run)

    def write_submission(self, run: Run, split: str, lists: FinalLists, path: Path) -> None:
        submission.write_submission(run, split, lists, path, self.submission_format())

    def submission_format(self) -> SubmissionFormat:
        return submission.submission_format(self.recipe)

    def expected(self, folder: Path) -> Expected:
        return inspect_raw.expected(folder, self.recipe.types)

    def read_ground_truth(self, path: Path) -> pl.DataFrame:
        return ground_truth.read_ground_truth(path, self.recipe)

    def summarize_raw(self, path: Path) -> RawSummary:
        return inspect_raw.summarize(path, self.recipe.types)
