"""Turn the raw files into the logs and the tables of all splits (step 1).

The validation period is `valid`, and the training period train_1, from which models only learn.
Without a validation period, the last days of the training period are `valid`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from src.core.arrays import hash_unit
from src.core.parquet import TableWriter, count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import EVENTS, GIVEN, LABELS
from src.data.splits import Split, remove_splits, write_splits
from src.data.units import DAY, HOUR
from src.datasets.ebnerd import files
from src.datasets.ebnerd.files import Period
from src.datasets.ebnerd.impressions import impression_table
from src.datasets.ebnerd.logs import (
    Ids,
    blocks,
    dense,
    exploded,
    ids_files,
    ids_of,
    write_reads,
    write_shown,
    write_visits,
)

VALID_DAYS = 2  # last days of the training period, where there is no validation period
OUTCOMES = ("click", "read", "scroll")
"""Columns of the labels, in the order of the recipe's objectives."""
ROW_GROUP = 1 << 16  # rows of given.parquet: who reads a batch reads whole groups


class Part(NamedTuple):
    """A split, and the stretch of a period that it takes: first <= ts < end."""

    name: str
    role: str
    period: Period
    first: int
    end: int


def make_splits(run: Run) -> None:
    """Make items.parquet, the logs and the tables of all splits.

    Raises ValueError or FileNotFoundError, naming file, row or column, and cure.
    """
    remove_splits(run)
    periods = list(files.find(run.input).values())
    require_clicks(periods)
    stats = [period.stats for period in periods]
    of_ids = ids_files(run.output / "raw")
    with run.step("ids") as summary:
        rows: dict[Path, object] = dict.fromkeys([paths.items(run), *of_ids], stats)
        run.build_many(rows, partial(_write_ids, run, periods), [])
        summary["articles"] = count_rows(paths.items(run))
    ids = Ids.read(run.output / "raw")
    writers = {"shown": write_shown, "visits": write_visits, "reads": write_reads}
    for name, write in writers.items():
        with run.step(name) as summary:
            path = paths.log(run, name)
            inputs = [paths.items(run), *of_ids]
            run.build(path, partial(write, periods, ids), stats, inputs)
            summary["rows"] = count_rows(path)
    splits = [SplitMaker(run, part, ids).make() for part in parts(periods)]
    write_splits(run, splits)


def require_clicks(periods: Sequence[Period]) -> None:
    """Raise ValueError where a period before the test has no clicks."""
    for period in periods:
        if period.name != "test" and period.read()["clicked"].is_null().all():
            source = period.behaviors
            raise ValueError(f"{source}: no {files.CLICKED}; clicks are needed to learn from")


def _write_ids(run: Run, periods: Sequence[Period], temporary: dict[Path, Path]) -> None:
    """Write items.parquet and the raw ids."""
    ids = ids_of(periods)
    for path, part in temporary.items():
        if path == paths.items(run):
            pl.DataFrame({"item_id": ids.item}).write_parquet(part)
        else:
            series = dict(zip(ids_files(run.output / "raw"), ids, strict=True))
            pl.DataFrame({"id": series[path]}).write_parquet(part)


def parts(periods: Sequence[Period]) -> list[Part]:
    """List the splits: `valid` first, then test, then train_1."""
    named = {period.name: period for period in periods}
    starts = {}
    for name, period in named.items():
        ts = period.read()["ts"]
        starts[name] = (int(ts.min()), int(ts.max()) + 1)  # type: ignore[arg-type]
    train, (first, end) = named["train"], starts["train"]
    if "validation" in named:
        found = [Part("valid", "valid", named["validation"], *starts["validation"])]
        cut = end
    else:
        cut = max(-(-end // HOUR) * HOUR - VALID_DAYS * DAY, first)
        found = [Part("valid", "valid", train, cut, end)]
    if "test" in named:
        found.append(Part("test", "test", named["test"], *starts["test"]))
    if cut > first:
        found.append(Part("train_1", "train", train, first, cut))
    return found


@dataclass(frozen=True)
class SplitMaker:
    """Builds the tables of one split."""

    run: Run
    part: Part
    ids: Ids

    def make(self) -> Split:
        """Bring the tables of the split up to date."""
        run, name = self.run, self.part.name
        write: dict[Path, Callable[[Path], object]] = {
            paths.sessions(run, name): self.write_sessions,
            paths.impressions(run, name): self.write_impressions,
            paths.given(run, name): self.write_given,
            paths.labels(run, name): self.write_labels,
            paths.events(run, name): pl.DataFrame(schema=EVENTS).write_parquet,
        }
        if name == "test":
            del write[paths.labels(run, name)]

        def make(temporary: dict[Path, Path]) -> None:
            for path, part in temporary.items():
                write[path](part)

        rows = (name, self.part.first, self.part.end, run.sample, run.recipe.seed)
        with run.step(name) as summary:
            run.build_many(
                dict.fromkeys(write, rows), make, [paths.items(run), paths.log(run, "shown")]
            )
            summary["impressions"] = count_rows(paths.sessions(run, name))
            summary["rows"] = count_rows(paths.given(run, name))
            if name != "test":
                labels = pl.scan_parquet(paths.labels(run, name))
                clicks = labels.filter(pl.col("grade") > 0, objective=0)
                summary["clicks"] = clicks.select(pl.len()).collect().item()
                summary |= self.odd()
        return Split.read(run, name, self.part.role, self.part.period.name)

    @cached_property
    def rows(self) -> pl.DataFrame:
        """Impressions of the split in file order, those of --sample, with dense ids."""
        rows = self.part.period.read()
        rows = rows.filter(pl.col("ts") >= self.part.first, pl.col("ts") < self.part.end)
        if (sample := self.run.sample) < 1:
            rows = rows.filter(hash_unit(pl.col("user_id"), self.run.recipe.seed) < sample)
        if rows.is_empty():
            source = self.part.period.behaviors
            raise ValueError(f"--sample {sample} keeps no impression of {source}; raise it")
        return dense(rows, self.ids)

    def shown(self) -> Iterator[pl.DataFrame]:
        """Yield the articles of some impressions, once each: session, item and OUTCOMES, sorted."""
        rows = self.rows.select("view", "clicked", "read", "scroll").with_row_index("session")
        for block in blocks(rows.cast({"session": pl.Int32})):
            listed = exploded(block, self.ids).select("session", "item", *OUTCOMES)
            yield listed.sort("session", "item")

    def odd(self) -> dict[str, object]:
        """Count what is served but strange: no click, or clicks on articles not in the list."""
        rows = self.part.period.read().filter(
            pl.col("ts") >= self.part.first, pl.col("ts") < self.part.end
        )
        outside = pl.col("clicked").list.set_difference(pl.col("view")).list.len()
        counts = rows.select(
            (pl.col("clicked").list.len().fill_null(0) == 0).sum().alias("without a click"),
            outside.sum().alias("clicks outside the list, left out"),
            (pl.col("view").list.len() == 0).sum().alias("empty lists"),
        ).row(0, named=True)
        return {name: count for name, count in counts.items() if count}

    def write_sessions(self, path: Path) -> None:
        """Write SESSIONS: all are queries; the raw id is the row of the file."""
        columns = [pl.col("row").alias("session"), pl.lit(True).alias("query")]
        self.rows.select(*columns, user="user_id").write_parquet(path)

    def write_impressions(self, path: Path) -> None:
        """Write IMPRESSIONS and CONTEXT."""
        first = self.part.first
        start = pl.lit(first, pl.Int32)
        if self.part.role == "train":
            start = first + (pl.col("ts") - first) // DAY * DAY
        impression_table(self.rows, start).write_parquet(path)

    def write_given(self, path: Path) -> None:
        """Write GIVEN: the articles shown, without columns of their own."""
        with TableWriter(path, GIVEN) as writer:
            for rows in self.shown():
                for part in rows.select(GIVEN.names()).iter_slices(ROW_GROUP):
                    writer.add(part)

    def write_labels(self, path: Path) -> None:
        """Write LABELS: for each objective grade 1 or 0, where it is known."""
        with TableWriter(path, LABELS) as writer:
            for rows in self.shown():
                labels = pl.concat(
                    rows.select("session", "item", objective=pl.lit(n, pl.Int8), grade=name)
                    for n, name in enumerate(OUTCOMES)
                )
                labels = labels.drop_nulls("grade").select(LABELS.names()).cast(LABELS)
                writer.add(labels.sort("session", "objective", "item"))
