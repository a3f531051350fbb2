"""LETOR: documents of queries with grades, in SVMlight text."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from src.core.run import Run
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.datasets.base import Checked, Dataset, Source
from src.datasets.letor import description, files, run_file
from src.datasets.letor.raw import HIDDEN, read_rows
from src.datasets.letor.recipe import RANK_FEATURES, RECIPE
from src.datasets.letor.split import make_splits
from src.metrics.named import metric_named

SOURCE = Source(
    page="https://www.microsoft.com/en-us/research/project/letor-learning-rank-information-retrieval",
    licence="LETOR and MSLR are for research use only",
    kaggle="",
    files=(),
)


@dataclass(frozen=True)
class Letor(Dataset):
    """Lists of documents with features; a run file of TREC with all documents of every query."""

    submission: ClassVar[str] = "submission.trec"
    ranks_all: ClassVar[bool] = True

    recipe: Recipe = RECIPE
    source: Source | None = SOURCE

    @classmethod
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        """Add the metric."""
        text = f"such as ndcg@10, map, err@10 ({RECIPE.metric})"
        parser.add_argument("--metric", default=str(RECIPE.metric), help=text)

    def configure(self, args: argparse.Namespace) -> Self:
        """Take the metric, and the features that step 1 has found.

        Where all features are ranks, the recipe's features for ranks replace the others.
        """
        recipe = replace(self.recipe, metric=metric_named(args.metric))
        if found := description.read(args.output):
            features = RANK_FEATURES if found.ranks else recipe.features
            recipe = replace(recipe, given_columns=found.columns, features=features)
        return replace(self, recipe=recipe)

    def prepare(self, run: Run) -> None:
        make_splits(run)

    def write_submission(self, run: Run, split: str, lists: FinalLists, path: Path) -> None:
        (listed,) = lists.values()
        run_file.write_run(run, split, listed, path)

    def check_submission(self, path: Path, folder: Path) -> Checked:
        """Check that a run file ranks all documents of the test file; without one, of valid."""
        raw = files.find(folder)
        role = "test" if "test" in raw else list(raw)[-1]
        documents = read_rows(raw[role], role).select("qid", "doc")
        queries = documents["qid"].n_unique()
        right = f"{documents.height:,} documents of {queries:,} queries"
        return Checked(run_file.check_run(path, documents), right)

    def read_ground_truth(self, path: Path) -> pl.DataFrame:
        """Read the grades of a file of the form of the raw test file."""
        rows = read_rows(path, "test")
        if rows["grade"].max() == HIDDEN:
            raise ValueError(f"{path}: all grades are {HIDDEN}, hidden; give a file with grades")
        return rows.select(session="qid", objective=pl.lit(0, pl.Int64), item="doc", grade="grade")

    def judged_items(self, path: Path, truth: pl.DataFrame) -> pl.DataFrame:
        """List the judged documents of a run file, whose faults are refused."""
        return run_file.judged_items(path, truth)
