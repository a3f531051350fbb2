"""Turn OTTO's raw session logs into the tables of all splits (step 1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.splits import Split, remove_splits, write_splits
from src.datasets.otto.raw import read_log, refuse_common_sessions, refuse_swapped_files
from src.datasets.otto.types import find_types
from src.datasets.present_types import with_types
from src.datasets.session_log import SessionLog
from src.datasets.split_maker import SplitMaker, with_training_splits
from src.datasets.split_tables import SplitTables
from src.datasets.windows import Windows


def make_splits(run: Run) -> None:
    """Make items.parquet and the tables of all splits.

    Without test.jsonl there is no `test`. Where `valid` has fewer queries than min_train_queries,
    the windows before it become train_1, train_2, ...

    Raises ValueError or FileNotFoundError, naming file, line and cure, for wrong raw files.
    """
    remove_splits(run)
    train, test = _read(run, "train"), _read(run, "test")
    assert train is not None
    logs = [log for log in (train, test) if log is not None]
    run = replace(run, recipe=with_types(run.recipe, find_types(run, logs)))
    maker = _OttoSplits(run, Windows(train, test, run.recipe, run.sample))
    maker.make_items()
    valid = maker.make_window("valid", 0)
    assert valid is not None
    splits = [valid] if test is None else [valid, maker.make_test(test)]

    def earlier(back: int) -> Split | None:
        return maker.make_window(f"train_{back}", back)

    write_splits(run, with_training_splits(run, splits, earlier, maker.windows.count - 1))


def _read(run: Run, stem: str) -> SessionLog | None:
    """Read a raw file; None for a missing test file."""
    with run.step(f"read {stem}") as summary:
        log = read_log(run, stem)
        if log is not None:
            summary["sessions"], summary["events"] = log.counts()
        elif stem == "train":
            raise FileNotFoundError(
                f"{run.input / 'train.jsonl'} not found (nor .gz, .zst); put the competition's "
                "file there or name its folder with --input"
            )
        else:
            summary["not found:"] = "no test split"
    return log


@dataclass(frozen=True)
class _OttoSplits:
    """Builds items.parquet and the tables of splits."""

    run: Run
    windows: Windows

    @property
    def maker(self) -> SplitMaker:
        return SplitMaker(self.run)

    @property
    def logs(self) -> list[SessionLog]:
        train, test = self.windows.train, self.windows.test
        return [train] if test is None else [train, test]

    @property
    def tables(self) -> list[Path]:
        """Files on which all splits depend."""
        return [log.table for log in self.logs]

    def make_items(self) -> None:
        """Bring items.parquet up to date: the raw ids of all items, sorted."""
        path = paths.items(self.run)
        with self.run.step("items") as summary:
            self.maker.build(path, self._write_items, None, self.tables)
            summary["items"] = count_rows(path)

    def _write_items(self, path: Path) -> None:
        train, test = self.windows.train, self.windows.test
        if test is not None:
            refuse_common_sessions(train, test)
            refuse_swapped_files(train, test)
        item_ids = pl.concat(map(self._item_ids, self.logs)).unique().sort("aid")
        item_ids.rename({"aid": "item_id"}).write_parquet(path)

    def _item_ids(self, log: SessionLog) -> pl.DataFrame:
        """Collect the distinct raw ids of a log, part by part."""
        parts = self.run.progress(log.parts(), f"items of {log.table.stem}")
        rows = (self.windows.sampled(pl.scan_parquet(part)).select("aid") for part in parts)
        return pl.concat([row.unique().collect() for row in rows]).unique()

    def make_window(self, name: str, back: int) -> Split | None:
        """Make the split that holds out a window; None where it has no queries."""
        rows, train = (self.windows.days, back), self.windows.train
        plan = self.maker.plan(name, lambda: self.windows.plan(back), rows, self.tables)
        if not pl.scan_parquet(plan).select(pl.col("query").any()).collect().item():
            return None
        tables = SplitTables(self.run, plan, train, train)
        self.maker.tables(name, tables, with_labels=True)
        since = self.windows.start_second(back)
        if back == 0:
            return Split.read(self.run, name, "valid", "last window of train", since)
        return Split.read(self.run, name, "train", f"window {back} before valid", since)

    def make_test(self, test: SessionLog) -> Split:
        """Make the split of the test file."""
        plan = self.maker.plan("test", self.windows.plan_test, None, self.tables)
        tables = SplitTables(self.run, plan, self.windows.train, test)
        self.maker.tables("test", tables, with_labels=False)
        since = self.windows.start_second(-1)
        return Split.read(self.run, "test", "test", "test file", since)
