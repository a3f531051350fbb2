"""Sequences of items: the last item of each user is the test, the one before it is `valid`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from src.core import store
from src.core.run import Run
from src.data.recipe import Recipe
from src.datasets.interactions import flags as flags_module
from src.datasets.interactions.dataset import Interactions
from src.datasets.interactions.found import Found
from src.datasets.interactions.sources import Sources, find_sources
from src.datasets.sequences.files import find_files, read_log, read_texts
from src.datasets.sequences.recipe import RECIPE, recipe_of

REFIT = "refit"


@dataclass(frozen=True)
class Sequences(Interactions):
    """A log whose times are positions; leave-one-out over all items, as published."""

    defaults: ClassVar[dict[str, str]] = {
        **flags_module.DEFAULTS, "split": "last:1", "test": flags_module.HELD_OUT,
        "candidates": flags_module.UNSEEN, "metric": "ndcg@10", REFIT: "",
    }  # fmt: skip

    recipe: Recipe = RECIPE
    flags: dict[str, str] = field(default_factory=lambda: dict(Sequences.defaults))

    @classmethod
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags of a log that are no part of the protocol, and --refit."""
        flags_module.add_flags(parser, ("candidates", "metric"))
        parser.add_argument(
            f"--{REFIT}", action="store_const", const="yes",
            help="count the items of valid for test, and learn from them; papers do not (no)",
        )  # fmt: skip

    def recipe_of(self, found: Found) -> Recipe:
        return recipe_of(found)

    def sources(self, run: Run) -> Sources:
        """Convert the files to a log of users, items and positions, under the output folder.

        Items are numbered in a random order: that of their ids can tell which one comes next.
        """
        files, folder = find_files(run.input), run.output / "raw" / "sequences"
        tables = {folder / "log.parquet": files.sequences}
        if files.texts:
            tables[folder / "items.parquet"] = files.texts
        elif not run.dry:
            store.remove(folder / "items.parquet")  # of an earlier run

        def write(temporary: dict[Path, Path]) -> None:
            for path, part in temporary.items():
                read = read_texts if tables[path] == files.texts else read_log
                read(tables[path]).write_parquet(part)

        run.build_many(dict.fromkeys(tables, files.key), write, [], [read_log, read_texts])
        found = find_sources(folder, "")
        return Sources(found.logs, found.tables, found.ignored, shuffle=run.recipe.seed)
