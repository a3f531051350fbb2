"""AntM2C: single impressions of Alipay, with clicks, scenes, texts and anonymous features."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from src.core.run import Run
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.datasets.antm2c import probabilities, raw_rows
from src.datasets.antm2c.ids import ids_files
from src.datasets.antm2c.recipe import RECIPE
from src.datasets.antm2c.split import make_splits
from src.datasets.base import Checked, Dataset, Source
from src.export.lists import RawLists

MAX_BAD = 0.01
"""Share of bad rows above which step 1 refuses the files."""
SOURCE = Source(
    page="https://www.atecup.cn",
    licence="AntM2C is given on registration; read its terms there",
    kaggle="",
    files=(),
)


@dataclass(frozen=True)
class Antm2c(Dataset):
    """A row is one item shown to a user; submission.csv has a probability of a click for each."""

    ranks_all: ClassVar[bool] = True

    recipe: Recipe = RECIPE
    source: Source | None = SOURCE
    max_bad: float = MAX_BAD

    @classmethod
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        """Add the share of bad rows."""
        text = f"share of bad rows that may be left out ({MAX_BAD})"
        parser.add_argument("--max-bad", type=float, default=MAX_BAD, help=text)

    def configure(self, args: argparse.Namespace) -> Self:
        """Take the share of bad rows."""
        if not 0 <= args.max_bad <= 1:
            raise ValueError(f"--max-bad {args.max_bad}: give a share from 0 to 1")
        return replace(self, max_bad=args.max_bad)

    def prepare(self, run: Run) -> None:
        make_splits(run, self.max_bad)

    def write_submission(self, run: Run, split: str, lists: FinalLists, path: Path) -> None:
        probabilities.write(run, split, lists, path)

    def raw_files(self, run: Run) -> list[Path]:
        return [*ids_files(run.output / "raw"), raw_rows.until_file(run.output / "raw")]

    def read_raw(self, path: Path, folder: Path) -> RawLists:
        return raw_rows.read_raw(path, folder)

    def check_submission(self, path: Path, folder: Path) -> Checked:
        """Check that each row of the test has a probability."""
        ids = probabilities.test_rows(folder)
        return Checked(probabilities.check(path, ids), f"probabilities of {ids.len():,} rows")

    def read_ground_truth(self, path: Path) -> pl.DataFrame:
        """Read the labels of a file of the form of test.csv."""
        return probabilities.read_labels(path)

    def judged_items(self, path: Path, truth: pl.DataFrame) -> pl.DataFrame:
        return probabilities.judged_items(path, truth)
