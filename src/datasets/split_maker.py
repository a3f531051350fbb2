"""Bring plans and tables of splits up to date; add training splits where queries are few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.splits import TUNING, Split
from src.datasets.split_tables import SplitTables


@dataclass(frozen=True)
class SplitMaker:
    """Builds the plans and the tables of splits (src/datasets/split_tables.py)."""

    run: Run

    def plan(
        self, name: str, make: Callable[[], pl.DataFrame], rows: object, inputs: list[Path]
    ) -> Path:
        """Bring the plan of a split up to date; rows: settings that it depends on."""

        def write(path: Path) -> None:
            make().write_parquet(path)

        path = self.run.output / "raw" / f"plan-{name}.parquet"
        return self.build(path, write, rows, inputs, code=make)

    def tables(self, name: str, tables: SplitTables, with_labels: bool) -> None:
        """Bring the tables of a split up to date; events come last."""
        run, inputs = self.run, [tables.plan, paths.items(self.run)]
        sessions, labels = paths.sessions(run, name), paths.labels(run, name)
        objectives, kind = run.recipe.objectives, type(tables)
        code = [kind.judged, kind.labels_of, kind.with_context]  # a subclass may have its own
        with run.step(name) as summary:
            self.build(sessions, tables.write_sessions, None, [tables.plan])
            summary["sessions"] = count_rows(sessions)
            queries = pl.scan_parquet(sessions).select(pl.col("query").sum())
            summary["queries"] = queries.collect().item()
            if with_labels:
                rows = [(o.name, o.next_only) for o in objectives]
                self.build(labels, tables.write_labels, rows, inputs, code)
                counts = pl.read_parquet(labels)["objective"].value_counts()
                summary |= {f"{objectives[o].name} labels": n for o, n in sorted(counts.rows())}
            events = paths.events(run, name)
            self.build(events, tables.write_events, None, inputs, code)
            summary["events"] = count_rows(events)

    def build(
        self,
        path: Path,
        make: Callable[[Path], None],
        rows: object,
        inputs: list[Path],
        code: object = None,
    ) -> Path:
        """Bring a file up to date that depends on the sample and the seed too; return its path."""
        key = {"rows": rows, "sample": self.run.sample, "seed": self.run.recipe.seed}
        self.run.build(path, make, key, inputs, code)
        return path


def with_training_splits(
    run: Run, splits: list[Split], make: Callable[[int], Split | None], count: int
) -> list[Split]:
    """Add at most `count` training splits, until there are `min_train_queries` labelled queries.

    Those of `valid` count, unless rankers learn nothing from it: with one fold.

    If none is needed, the first one is made to tune retrievers, if the recipe has alternatives.

    make: makes training split n, from 1; None where it would have no queries.
    """
    learned = ("valid",) if run.recipe.folds > 1 else ()
    splits, queries = list(splits), sum(s.queries for s in splits if s.role in learned)
    for n in range(1, count + 1):
        if queries >= run.recipe.min_train_queries:
            break
        if (split := make(n)) is not None:
            splits.append(split)
            queries += split.queries
    labelled = any(split.role == "train" for split in splits)
    tuned = run.dataset.recipe.alternatives and not run.recipe.given
    if tuned and count > 0 and not labelled and (split := make(1)) is not None:
        splits.append(replace(split, role=TUNING))
    return splits
