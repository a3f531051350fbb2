"""Make the splits of playlists: held-out ones in the categories of the challenge (step 1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import I32, I64, hash_unit
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import SESSIONS
from src.data.splits import Split, remove_splits, write_splits
from src.datasets.mpd.files import find_files
from src.datasets.mpd.log import Logs, PlaylistLog, read_logs
from src.datasets.split_maker import SplitMaker, with_training_splits
from src.datasets.split_tables import HIDDEN, ROW_GROUP, VISIBLE, SplitTables
from src.datasets.windows import make_plan

SHARE, MOST = 0.1, 5_000  # of the playlists that a split holds out: a share, at most so many
MAX_TRAINING = 4  # training splits
CATEGORIES = (0, 1, 5, 10, 25)  # tracks that a query shows, without a challenge set
LEAST = 20  # tracks of a playlist that is held out
SEED = 11  # added to the recipe's seed, to draw what is held out


def make_splits(run: Run) -> None:
    """Make items.parquet and the tables of all splits.

    Raises ValueError or FileNotFoundError, naming file, place and cure, for wrong raw files.
    """
    remove_splits(run)
    with run.step("read playlists") as summary:
        logs = read_logs(run, find_files(run.input))
        summary["playlists"], summary["tracks"] = logs.playlists.counts()
        if logs.challenge:
            summary["of the challenge"] = count_rows(logs.challenge.table)
    maker = _Splits(run, logs)
    maker.plan(0)  # raises ValueError before anything is written
    maker.make_items()
    splits = [maker.held_out("valid", "valid", 0)]
    if maker.challenge:
        splits.append(maker.of_challenge(maker.challenge))
    write_splits(run, with_training_splits(run, splits, maker.training, MAX_TRAINING))


@dataclass(frozen=True)
class PlaylistTables(SplitTables):
    """Writes the tables of a split; sessions have their titles as texts."""

    history: PlaylistLog
    queries: PlaylistLog

    def write_sessions(self, path: Path) -> None:
        """Write SESSIONS in dense order, with the titles."""
        titles = [
            log.sessions().select("line", text="title", query=pl.lit(is_query))
            for log, is_query in ((self.history, False), (self.queries, True))
        ]
        plan = pl.scan_parquet(self.plan)
        of_plan = plan.join(pl.concat(titles), on=["line", "query"], maintain_order="left")
        table = of_plan.select(*SESSIONS.names(), "text").collect()
        table.write_parquet(path, row_group_size=ROW_GROUP)

    def judged(self) -> Iterator[pl.DataFrame]:
        """Yield the hidden tracks that are not among those that the query shows."""
        for rows in self.events(True, True):
            hidden, seen = rows.filter(HIDDEN), rows.filter(VISIBLE)
            yield hidden.join(seen, on=["session", "item"], how="anti", maintain_order="left")


def fitting(keep: I64, events: I32, shown: I64) -> I64:
    """Exchange what queries show where a playlist has no track more; int64 (queries).

    keep: tracks that each query would show. Where no other playlist is long enough, a query shows
    the most of `shown` that its own leaves a track of.
    """
    keep = keep.copy()
    for query in np.argsort(-keep, kind="stable"):
        if events[query] > keep[query]:
            continue
        able = np.flatnonzero((events > keep[query]) & (keep < events[query]))
        if able.size:
            keep[[query, able[0]]] = keep[[able[0], query]]
        else:
            keep[query] = max((n for n in shown if n < events[query]), default=0)
    return keep


@dataclass(frozen=True)
class _Splits:
    """Builds items.parquet and the tables of splits."""

    run: Run
    logs: Logs

    def make_items(self) -> None:
        """Bring items.parquet up to date: URIs and names; artists as codes from 1 too."""
        path = paths.items(self.run)

        def write(file: Path) -> None:
            tracks = pl.read_parquet(self.logs.tracks)
            code = pl.col("artist").rank("dense").cast(pl.Int32).alias("artist_code")
            tracks.with_columns(code).write_parquet(file)

        with self.run.step("items") as summary:
            self.run.build(path, write, None, [self.logs.tracks])
            summary["items"] = count_rows(path)

    @property
    def challenge(self) -> PlaylistLog | None:
        """The challenge set; None for an empty one."""
        log = self.logs.challenge
        return log if log and count_rows(log.table) else None

    @cached_property
    def kept(self) -> pl.DataFrame:
        """SESSION_ROWS of the playlists of --sample."""
        rows = self.logs.playlists.sessions()
        if self.run.sample < 1:
            unit = hash_unit(pl.col("session"), self.run.recipe.seed)
            rows = rows.filter(unit < self.run.sample)
        return rows.collect()

    @cached_property
    def shown(self) -> I64:
        """Tracks that the queries of the challenge set show, or CATEGORIES; ascending."""
        if self.challenge:
            events = self.challenge.sessions().collect()["events"]
            return events.sort().cast(pl.Int64).to_numpy()
        return np.array(CATEGORIES)

    def plan(self, turn: int) -> pl.DataFrame:
        """Plan the split of a turn: each turn holds out other playlists, drawn by their pid.

        A query shows as many tracks as one of the challenge does, in the same proportions as far as
        there are playlists of more tracks.
        """
        long = self.kept.filter(pl.col("events") >= LEAST)
        size = min(MOST, max(1, int(SHARE * self.kept.height)))
        drawn = long.sort(hash_unit(pl.col("session"), self.run.recipe.seed + SEED))
        queries = drawn.slice(turn * size, size)
        if queries.height == 0 and turn == 0:
            raise ValueError(
                f"{self.run.input}: no playlist has {LEAST} tracks, to hold it out; give more data"
            )
        n = queries.height
        keep = self.shown[np.arange(n) * self.shown.size // max(n, 1)]
        order = np.random.default_rng(self.run.recipe.seed + turn).permutation(n)
        keep = fitting(keep[order], queries["events"].to_numpy(), self.shown)
        queries = queries.with_columns(keep=pl.Series(keep)).sort("line")
        history = self.kept.filter(~pl.col("line").is_in(queries["line"].implode()))
        of_queries = make_plan(queries, True, keep=queries["keep"].to_numpy())
        return pl.concat([make_plan(history, False), of_queries])

    def held_out(self, name: str, role: str, turn: int) -> Split:
        """Make the split of a turn."""
        log, maker = self.logs.playlists, SplitMaker(self.run)
        inputs = self.logs.files
        plan = maker.plan(name, lambda: self.plan(turn), turn, inputs)
        maker.tables(name, PlaylistTables(self.run, plan, log, log), with_labels=True)
        return Split.read(self.run, name, role, f"playlists held out, turn {turn}")

    def training(self, n: int) -> Split | None:
        """Make training split n; None where no playlist is left to hold out."""
        return self.held_out(f"train_{n}", "train", n) if self.plan(n)["query"].any() else None

    def of_challenge(self, challenge: PlaylistLog) -> Split:
        """Make `test`: all playlists of the slices, then those of the challenge as queries."""

        def plan() -> pl.DataFrame:
            queries = challenge.sessions().collect()
            return pl.concat([make_plan(self.kept, False), make_plan(queries, True)])

        maker = SplitMaker(self.run)
        path = maker.plan("test", plan, None, self.logs.files)
        tables = PlaylistTables(self.run, path, self.logs.playlists, challenge)
        maker.tables("test", tables, with_labels=False)
        return Split.read(self.run, "test", "test", "challenge_set.json")
