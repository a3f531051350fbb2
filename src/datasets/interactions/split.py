"""Turn a log into the tables of all splits (step 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from src.core.run import Run
from src.data import paths
from src.data.recipe import Recipe
from src.data.splits import Split, remove_splits, write_splits
from src.datasets.interactions.choose import SESSION
from src.datasets.interactions.cuts import UserCuts
from src.datasets.interactions.flags import HELD_OUT, Flags
from src.datasets.interactions.found import Found
from src.datasets.interactions.holdout import RANDOM
from src.datasets.interactions.log import Draw, InteractionLog
from src.datasets.interactions.prepare import Preparation
from src.datasets.interactions.sources import Sources
from src.datasets.interactions.split_tables import InteractionTables
from src.datasets.split_maker import SplitMaker, with_training_splits
from src.datasets.windows import Windows

DRAW_SEED = 7  # added to the recipe's seed, for the random order of --split random


def make_splits(
    run: Run, sources: Sources, texts: dict[str, str], recipe_of: Callable[[Found], Recipe]
) -> None:
    """Make items.parquet, dataset.json and the tables of all splits.

    texts: all flags. recipe_of: makes the recipe for what the files hold. Raises ValueError or
    FileNotFoundError, naming file, line and cure, for wrong raw files.
    """
    remove_splits(run)
    flags = Flags.parse(texts)
    preparation = Preparation(run, sources, flags, texts)
    _ = preparation.asked_ids  # refused before the log is read
    log, choice = preparation.dated, preparation.choice()
    attributes, (context, context_kinds) = preparation.make_items(), preparation.make_context()
    found = preparation.found(choice, attributes, context_kinds)
    flags = replace(flags, holdout=choice.holdout)
    recipe = recipe_of(found)
    run = replace(run, recipe=recipe.causal() if run.recipe.as_deployed else recipe)
    maker = _Splits(run, log, flags, found, context, preparation.asked())
    write_splits(run, maker.make())


class AskedWindows(Windows):
    """Windows of sessions; those that `test` asks for, mostly cut before, are no queries."""

    def _of_window(self, back: int, until: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        history, queries = super()._of_window(back, until)
        assert isinstance(self.train, InteractionLog)
        if (asked := self.train.asked) is None:
            return history, queries
        return history, queries.filter(~pl.col("line").is_in(asked.implode()))


@dataclass(frozen=True)
class _Splits:
    """Builds the tables of all splits."""

    run: Run
    log: InteractionLog
    flags: Flags
    found: Found
    context: Path | None
    asked: pl.Series | None  # numbers of the users that `test` asks for; None: all

    def cuts(self, level: int) -> UserCuts:
        """Return what plans the split that hides a level."""
        seed, holdout, first = self.run.recipe.seed + DRAW_SEED, self.flags.holdout, self.first
        log = self.log
        if holdout.rule == RANDOM:
            log = replace(log, draw=Draw(seed, holdout, bool(first), max(level - first, 0)))
        return UserCuts(log, holdout, self.run.recipe, self.run.sample, first)

    @property
    def first(self) -> int:
        """Level that `valid` hides; `test` hides the one before, where it is held out."""
        return int(self.flags.test_held_out)

    @cached_property
    def windows(self) -> Windows | None:
        """Windows of sessions; None where lists are for users, or the end of each is hidden."""
        if self.found.who != SESSION or not self.flags.by_time:
            return None
        cure = "give a {} window, --split time:3d say, or raise --sample"
        return AskedWindows(self.log, None, self.run.recipe, self.run.sample, cure)

    @property
    def count(self) -> int:
        return self.windows.count if self.windows else self.cuts(0).count

    def make(self) -> list[Split]:
        """Make `valid`, `test` and training splits."""
        first = self.first
        made = [self.hide("valid", "valid", first)]
        if self.flags.test_held_out:
            made.append(self.hide("test", "test", 0))
        elif self.flags.candidates != HELD_OUT:
            made.append(self.whole())
        splits = [split for split in made if split is not None]  # a scored one has queries

        def earlier(n: int) -> Split | None:
            return self.hide(f"train_{n}", "train", first + n)

        return with_training_splits(self.run, splits, earlier, self.count - 1 - first)

    def hide(self, name: str, role: str, level: int) -> Split | None:
        """Make the split that hides a level; None for a training split without queries."""
        scored = role != "train"

        def plan() -> pl.DataFrame:
            planner = self.windows or self.cuts(level)
            return planner.plan(level, scored)

        path = self._plan(name, plan, (self.flags.holdout, level, scored))
        if not pl.scan_parquet(path).select(pl.col("query").any()).collect().item():
            return None
        self._tables(name, path, level)
        back = f", {level} back" if level else ""
        since = self.windows.start_second(level) if self.windows else None
        return Split.read(self.run, name, role, f"--split {self.flags.holdout.text}{back}", since)

    def whole(self) -> Split:
        """Make `test` of whole histories."""

        def plan() -> pl.DataFrame:
            if self.windows and self.asked is None:
                return self.windows.plan_whole()
            return self.cuts(0).plan_whole(self.asked)

        path = self._plan("test", plan, self.flags.holdout)
        self._tables("test", path, None)
        since = self.windows.start_second(0) if self.windows and self.asked is None else None
        return Split.read(self.run, "test", "test", "whole histories", since)

    def _plan(self, name: str, plan: Callable[[], pl.DataFrame], rows: object) -> Path:
        return SplitMaker(self.run).plan(name, plan, rows, [self.log.table])

    def _tables(self, name: str, plan: Path, level: int | None) -> None:
        """Make the tables of a plan; level: that it hides; None: none, so without labels."""
        log = self.cuts(level or 0).log
        tables = InteractionTables(self.run, plan, log, log, self.flags, self.found, self.context)
        maker = SplitMaker(self.run)
        if self.run.recipe.given:
            file, inputs = paths.given(self.run, name), [plan, paths.items(self.run)]
            maker.build(file, tables.write_given, None, inputs)
        maker.tables(name, tables, with_labels=level is not None)
