"""News recommendation (Tianchi entrance/531842): clicks of Globo.com in October 2017."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.run import Run
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.datasets.base import Dataset, RawFile, RawSummary, Source
from src.datasets.submission_rows import Expected, SubmissionFormat
from src.datasets.tianchi import inspect_raw, submission
from src.datasets.tianchi.recipe import RECIPE
from src.datasets.tianchi.split import make_splits
from src.datasets.times import DAY_MS

OCTOBER_2017 = 1_506_816_000_000
YEAR_MS = 365 * DAY_MS
SOURCE = Source(
    page="https://tianchi.aliyun.com/competition/entrance/531842",
    licence="Globo.com's clicks, for academic use only",
    kaggle="",
    files=(
        RawFile("train_click_log.csv", 1_112_623, OCTOBER_2017, OCTOBER_2017 + 50 * DAY_MS),
        RawFile("testA_click_log.csv", 518_010, OCTOBER_2017, OCTOBER_2017 + 50 * DAY_MS),
        RawFile("articles.csv", 364_047, OCTOBER_2017 - 12 * YEAR_MS, OCTOBER_2017 + YEAR_MS),
    ),
)


@dataclass(frozen=True)
class Tianchi(Dataset):
    """Click logs in CSV files; a list of k articles per user."""

    recipe: Recipe = RECIPE
    source: Source | None = SOURCE

    def prepare(self, run: Run) -> None:
        make_splits(run)

    def write_submission(self, run: Run, split: str, lists: FinalLists, path: Path) -> None:
        submission.write_submission(run, split, lists, path, self.submission_format())

    def submission_format(self) -> SubmissionFormat:
        return submission.submission_format(self.recipe)

    def expected(self, folder: Path) -> Expected:
        return inspect_raw.expected(folder)

    def read_ground_truth(self, path: Path) -> pl.DataFrame:
        return inspect_raw.read_ground_truth(path)

    def summarize_raw(self, path: Path) -> RawSummary:
        return inspect_raw.summarize(path)
