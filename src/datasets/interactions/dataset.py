"""Any log of interactions, in CSV, parquet or RecBole files; a list of k items per user."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from src.core.run import FIRST_STEP, Run
from src.data.raw_ids import item_ids, session_ids
from src.data.recipe import Recipe
from src.data.schemas import FinalLists
from src.data.splits import splits_in
from src.datasets.base import Checked, Dataset
from src.datasets.interactions import flags as flags_module
from src.datasets.interactions import submission
from src.datasets.interactions.flags import DEFAULTS, Flags
from src.datasets.interactions.found import FILE, Found
from src.datasets.interactions.lists_file import faults, judged_items
from src.datasets.interactions.recipe import RECIPE, recipe_of
from src.datasets.interactions.sources import Sources, find_sources
from src.datasets.interactions.split import make_splits
from src.datasets.judged_rows import counted


@dataclass(frozen=True)
class Interactions(Dataset):
    """Who did what to which item, and when."""

    defaults: ClassVar[dict[str, str]] = DEFAULTS
    """All flags, as texts, and what they are without a value."""

    recipe: Recipe = RECIPE
    flags: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    output: Path = Path()  # folder of the results

    @classmethod
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        flags_module.add_flags(parser)

    def configure(self, args: argparse.Namespace) -> Self:
        """Return the dataset with the recipe for its flags and what step 1 found.

        Step 1 takes the flags as they are given. For other steps and tools they must be those of
        step 1. Raises ValueError where they differ.
        """
        given = flags_module.given_flags(args, self.defaults)
        first = getattr(args, "script", "") == FIRST_STEP
        found = None if first else Found.read(args.output)
        if found is None:
            texts = {**self.defaults, **given}
            Flags.parse(texts)
            return replace(self, flags=texts, output=args.output)
        for name, value in given.items():
            if value != found.flags[name]:
                raise ValueError(
                    f"--{name} {value}: step 1 ran with {found.flags[name]!r} "
                    f"({args.output / FILE}); run {FIRST_STEP} with the same flags first"
                )
        return replace(self, recipe=self.recipe_of(found), flags=found.flags, output=args.output)

    def recipe_of(self, found: Found) -> Recipe:
        """Make the recipe for what step 1 found."""
        return recipe_of(found, Flags.parse(found.flags))

    def sources(self, run: Run) -> Sources:
        """Find the files of the log."""
        return find_sources(run.input, self.flags["columns"])

    def prepare(self, run: Run) -> None:
        make_splits(run, self.sources(run), self.flags, self.recipe_of)

    def write_submission(self, run: Run, split: str, lists: FinalLists, path: Path) -> None:
        submission.write_submission(run, split, lists, path, Flags.parse(self.flags))

    def check_submission(self, path: Path, folder: Path) -> Checked:
        """Check a submission against the queries and items that step 1 left in the output."""
        users, items = self._expected()
        lists = users.len() * len(self.recipe.objectives)
        right = f"{lists:,} lists for {users.len():,} queries, of {items.len():,} items"
        return Checked(faults(path, self.recipe, users, items), right)

    def _expected(self) -> tuple[pl.Series, pl.Series]:
        """Read the raw ids of the queries to answer, and of all items, as texts."""
        names = [split.name for split in splits_in(self.output) if split.role in ("valid", "test")]
        sessions = self.output / names[-1] / "sessions.parquet"
        query = pl.read_parquet(sessions, columns=["query"]).to_series()
        users = session_ids(sessions).filter(query).cast(pl.String)
        return users, item_ids(self.output / "items.parquet").cast(pl.String)

    def listed_items(self, path: Path, truth: pl.DataFrame) -> pl.DataFrame:
        """Count the items of the lists, as Dataset.listed_items says."""
        return counted(self.judged_items(path, truth))

    def judged_items(self, path: Path, truth: pl.DataFrame) -> pl.DataFrame:
        """List the judged items of a submission, as Dataset.judged_items says."""
        return judged_items(path, self.recipe, truth)

    def read_ground_truth(self, path: Path) -> pl.DataFrame:
        """Raise ValueError: the labels are those that step 1 hides."""
        raise ValueError(
            f"{path}: give a labels.parquet of step 1, <output>/test/labels.parquet say"
        )
