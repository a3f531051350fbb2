"""Turn OTTO's raw session logs into the tables of all splits (step 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.splits import Split, remove_splits, write_splits
from src.datasets.otto.raw import (
    SessionLog,
    read_log,
    refuse_common_sessions,
    refuse_swapped_files,
)
from src.datasets.otto.split_tables import SplitTables
from src.datasets.otto.windows import Windows


def make_splits(run: Run) -> None:
    """Make items.parquet and the tables of all splits.

    Without test.jsonl there is no `test`. Where `valid` has fewer queries than min_train_queries,
    the windows before it become train_1, train_2, ...

    Raises ValueError or FileNotFoundError, naming file, line and cure, for wrong raw files.
    """
    remove_splits(run)
    train, test = _read(run, "train"), _read(run, "test")
    assert train is not None
    maker = _SplitMaker(run, Windows(train, test, run.recipe, run.sample))
    maker.make_items()
    valid = maker.make_window("valid", 0)
    assert valid is not None
    splits, queries = [valid], valid.queries
    if test is not None:
        splits.append(maker.make_test(test))
    for back in range(1, maker.windows.count):
        if queries >= run.recipe.min_train_queries:
            break
        if (split := maker.make_window(f"train_{back}", back)) is not None:
            splits.append(split)
            queries += split.queries
    write_splits(run, splits)


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
class _SplitMaker:
    """Builds items.parquet and the tables of splits."""

    run: Run
    windows: Windows

    @property
    def logs(self) -> list[SessionLog]:
        train, test = self.windows.train, self.windows.test
        return [train] if test is None else [train, test]

    def make_items(self) -> None:
        """Bring items.parquet up to date: the raw ids of all items, sorted."""
        path = paths.items(self.run)
        with self.run.step("items") as summary:
            self._build(path, self._write_items, None, [log.table for log in self.logs])
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

        def write(path: Path) -> None:
            self.windows.plan(back).write_parquet(path)

        logs = [log.table for log in self.logs]
        plan = self._build(self._plan_path(name), write, (self.windows.days, back), logs)
        if not pl.scan_parquet(plan).select(pl.col("query").any()).collect().item():
            return None
        train = self.windows.train
        self._make_split(name, SplitTables(self.run, plan, train, train), with_labels=True)
        if back == 0:
            return Split.read(self.run, name, "valid", "last window of train")
        return Split.read(self.run, name, "train", f"window {back} before valid")

    def make_test(self, test: SessionLog) -> Split:
        """Make the split of the test file."""

        def write(path: Path) -> None:
            self.windows.plan_test().write_parquet(path)

        logs = [log.table for log in self.logs]
        plan = self._build(self._plan_path("test"), write, None, logs)
        tables = SplitTables(self.run, plan, self.windows.train, test)
        self._make_split("test", tables, with_labels=False)
        return Split.read(self.run, "test", "test", "test file")

    def _plan_path(self, name: str) -> Path:
        return self.run.output / "raw" / f"plan-{name}.parquet"

    def _make_split(self, name: str, tables: SplitTables, with_labels: bool) -> None:
        """Bring the tables of a split up to date; events come last."""
        run, inputs = self.run, [tables.plan, paths.items(self.run)]
        sessions, labels = paths.sessions(run, name), paths.labels(run, name)
        objectives = run.recipe.objectives
        with run.step(name) as summary:
            self._build(sessions, tables.write_sessions, None, [tables.plan])
            summary["sessions"] = count_rows(sessions)
            queries = pl.scan_parquet(sessions).select(pl.col("query").sum())
            summary["queries"] = queries.collect().item()
            if with_labels:
                rows = [(o.name, o.next_only) for o in objectives]
                self._build(labels, tables.write_labels, rows, inputs)
                counts = pl.read_parquet(labels)["objective"].value_counts()
                summary |= {f"{objectives[o].name} labels": n for o, n in sorted(counts.rows())}
            events = self._build(paths.events(run, name), tables.write_events, None, inputs)
            summary["events"] = count_rows(events)

    def _build(
        self, path: Path, make: Callable[[Path], None], rows: object, inputs: list[Path]
    ) -> Path:
        key = {"rows": rows, "sample": self.run.sample, "seed": self.run.recipe.seed}
        self.run.build(path, make, key, inputs)
        return path
