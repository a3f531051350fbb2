"""Turn the click logs into the tables of all splits, one session per user (step 1).

`valid` hides the last click of as many train users as there are test users; their activity matches
that of the test users. train_1, train_2, ... hide ends of visits of all other users, earlier visits
of test users included. A split hides one end of a user at most; train_1 begins with the last ends.
Train splits are made until the recipe has enough queries.

The clicks of a user after a hidden click form a session of their own. Nothing in a split is made
from the clicks that it hides. Queries see later clicks of other users, as the test queries do; the
competition allows that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.schemas import EVENTS, LABELS, POSITIVE, SESSIONS
from src.data.splits import Split, remove_splits, write_splits
from src.datasets.tianchi.clicklog import CONTEXT, ClickLog
from src.datasets.tianchi.holdout import HOLDOUT, train_holdout, valid_holdout

MIN_QUERIES = 0.1  # of those of `valid`: a smaller train split is not worth its matrices


def make_splits(run: Run) -> None:
    """Make items.parquet and the tables of all splits.

    Raises ValueError or FileNotFoundError, naming file, line and cure, for wrong raw files.
    """
    remove_splits(run)
    log = ClickLog.find(run)
    with run.step("read clicks") as summary:
        summary |= log.read()
    with run.step("items") as summary:
        summary |= log.make_items()
    maker = _SplitMaker(run, log)
    write_splits(run, [maker.make(name) for name in maker.plan()])


class _Tables(NamedTuple):
    """Tables of one split."""

    sessions: pl.DataFrame  # SESSIONS
    labels: pl.DataFrame  # LABELS
    events: pl.DataFrame  # EVENTS with their context


@dataclass(frozen=True)
class _SplitMaker:
    """Builds the tables of splits."""

    run: Run
    log: ClickLog

    @property
    def holdout(self) -> Path:
        """File with the HOLDOUT of all splits."""
        return self.run.output / "raw" / "holdout.parquet"

    def plan(self) -> list[str]:
        """Bring the holdout up to date; return the names of the splits to make."""
        self.run.build(self.holdout, self._write_holdout, self.log.key, [self.log.clicks])
        sizes = dict(pl.read_parquet(self.holdout)["split"].value_counts().iter_rows())
        names, queries = ["valid", *(name for name in sizes if name == "test")], sizes["valid"]
        for n in range(1, len(sizes)):
            size = sizes.get(f"train_{n}", 0)
            enough = queries >= self.run.recipe.min_train_queries
            if enough or size < MIN_QUERIES * sizes["valid"]:
                break
            names.append(f"train_{n}")
            queries += size
        return names

    def _write_holdout(self, path: Path) -> None:
        clicks = pl.read_parquet(self.log.clicks, columns=["user", "test", "type"])
        clicks = clicks.with_columns(position=pl.int_range(pl.len()).over("user"))
        users = clicks.group_by("user", "test").agg(clicks=pl.len()).sort("user")
        valid = valid_holdout(users, self.run.recipe.seed)
        if valid.is_empty():
            raise ValueError(f"{self.log.train}: no user with two clicks, nothing to learn from")
        # the hidden click of a test user comes after those of the log
        test = users.filter("test").select("user", position="clicks", split=pl.lit("test"))
        train = train_holdout(clicks, valid, self.run.recipe.seed)
        parts = (part.select(HOLDOUT.names()).cast(HOLDOUT) for part in (valid, test, train))
        pl.concat(parts).write_parquet(path)

    def make(self, name: str) -> Split:
        """Bring the tables of a split up to date; events come last."""
        run = self.run
        files = [paths.sessions(run, name), paths.labels(run, name), paths.events(run, name)]
        if name == "test":
            files.remove(paths.labels(run, name))

        def write(parts: dict[Path, Path]) -> None:
            tables = self._tables(name)._asdict()
            for path, part in parts.items():
                tables[path.stem].write_parquet(part)

        rows = (name, run.recipe.objective_names, self.log.key)
        inputs = [self.log.clicks, self.holdout, paths.items(run)]
        with run.step(name) as summary:
            run.build_many(dict.fromkeys(files, rows), write, inputs)
            queries = pl.scan_parquet(paths.sessions(run, name)).select(pl.col("query").sum())
            summary["sessions"] = count_rows(paths.sessions(run, name))
            summary["queries"] = queries.collect().item()
            summary["clicks"] = count_rows(paths.events(run, name))
        return Split.read(run, name, *_role(name))

    def _tables(self, name: str) -> _Tables:
        """Cut the clicks into the tables of a split."""
        holdout = pl.read_parquet(self.holdout).filter(pl.col("split") == name)
        item_ids = pl.read_parquet(paths.items(self.run))["item_id"]
        clicks = pl.read_parquet(self.log.clicks).join(
            holdout.select("user", hidden="position"), on="user", how="left", maintain_order="left"
        )
        position = pl.int_range(pl.len()).over("user")
        clicks = clicks.with_columns(
            position=position,
            item=item_ids.search_sorted(clicks["item"]),
            query=pl.col("hidden") >= position,
        ).with_columns(
            pl.col("query").fill_null(False),
            # clicks after the hidden one: another session, whose id is no id of a user
            raw=pl.when(position > pl.col("hidden")).then(-1 - pl.col("user")).otherwise("user"),
        )
        visible = pl.col("position").ne_missing(pl.col("hidden"))
        sessions = clicks.filter(visible).select("raw", "query").unique().sort("query", "raw")
        sessions = sessions.with_row_index("session")
        clicks = clicks.join(sessions.select("raw", "session"), on="raw", maintain_order="left")
        clicks = clicks.sort("session", maintain_order=True)
        objective = pl.lit(0).alias("objective")
        labels = clicks.filter(~visible).select("session", objective, "item", POSITIVE)
        shown = clicks.filter(visible).with_columns(pl.col("ts") // 1000)
        context = shown.select(CONTEXT.values()).cast(pl.Int32)
        events = shown.select(EVENTS.names()).cast(EVENTS).hstack(context)
        sessions = sessions.select(pl.col("raw").alias("session"), "query").cast(SESSIONS)
        return _Tables(sessions, labels.cast(LABELS), events)


def _role(name: str) -> tuple[str, str]:
    """Role and origin of a split."""
    if name == "valid":
        return "valid", "last clicks of train users"
    if name == "test":
        return "test", "last clicks of test users"
    return "train", f"ends of visits, part {name.removeprefix('train_')}"
