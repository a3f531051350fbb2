"""EB-NeRD: news articles shown to readers, the RecSys Challenge of 2024."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from src.core.run import Run
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.data.splits import split_named
from src.datasets.base import Checked, Dataset, Source
from src.datasets.ebnerd import files, predictions
from src.datasets.ebnerd.impressions import read_raw
from src.datasets.ebnerd.logs import ids_files
from src.datasets.ebnerd.recipe import AHEAD, CLICK, RECIPE
from src.datasets.ebnerd.split import make_splits
from src.export.lists import RawLists

SOURCE = Source(
    page="https://recsys.eb.dk/dataset",
    licence="EB-NeRD is for research use only",
    kaggle="",
    files=(),
)


@dataclass(frozen=True)
class Ebnerd(Dataset):
    """Lists of articles; predictions.txt has the ranks of the articles of every list."""

    submission: ClassVar[str] = "predictions.txt"
    ranks_all: ClassVar[bool] = True

    recipe: Recipe = RECIPE
    source: Source | None = SOURCE

    @classmethod
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        """Add the switch of features that look ahead."""
        text = "also count how often an article is shown after the list (no clicks)"
        parser.add_argument("--look-ahead", action="store_true", help=text)

    def configure(self, args: argparse.Namespace) -> Self:
        """Add the features that look ahead."""
        if not args.look_ahead:
            return self
        features = (*self.recipe.features, *AHEAD)
        return replace(self, recipe=replace(self.recipe, features=features))

    def prepare(self, run: Run) -> None:
        make_splits(run)

    def write_submission(self, run: Run, split: str, lists: FinalLists, path: Path) -> None:
        rows = files.find(run.input)[split_named(run, split).origin].read()
        predictions.write(run, rows, split, lists[CLICK], path)

    def raw_files(self, run: Run) -> list[Path]:
        return ids_files(run.output / "raw")

    def read_raw(self, path: Path, folder: Path) -> RawLists:
        return read_raw(path, folder)

    def check_submission(self, path: Path, folder: Path) -> Checked:
        """Check that each line ranks the articles of its row of the test file."""
        found = files.find(folder)
        if "test" not in found:
            raise FileNotFoundError(f"no test/behaviors.parquet in {folder}; unpack it there")
        rows = found["test"].read()
        return Checked(predictions.check(path, rows), f"ranks of {rows.height:,} impressions")

    def read_ground_truth(self, path: Path) -> pl.DataFrame:
        """Read the clicks of a file of the form of the raw test file.

        `place`, `length`: of an article in its list, and of the list. Rows without clicks do not
        count.
        """
        rows = files.read_behaviors(path)
        if rows["clicked"].is_null().all():
            raise ValueError(f"{path}: no {files.CLICKED}; give a file with clicks")
        table = rows.select(
            "clicked", session="row", item="view", length=pl.col("view").list.len(),
            place=pl.int_ranges(pl.col("view").list.len()),
        ).explode("item", "place", empty_as_null=False)  # fmt: skip
        table = table.unique(["session", "item"], keep="first", maintain_order=True)
        return table.select(
            "session", "item", "place", "length", objective=pl.lit(0, pl.Int64),
            grade=pl.col("item").is_in(pl.col("clicked")).cast(pl.Float32),
        ).drop_nulls("grade")  # fmt: skip

    def judged_items(self, path: Path, truth: pl.DataFrame) -> pl.DataFrame:
        return predictions.judged_items(path, truth)
