"""Read and write splits.json: the splits of a run and their roles.

A split hides some events, which are to be predicted for its queries. Queries of `valid` are scored,
and those of `test` are in the submission. Splits of the role "train" only add training data. With
`--causal`, a split of the role "history" holds what was there before the queries of another. Where
no training split is needed, one of the role "tuning" serves the recipe's alternatives alone. Step 1
writes splits.json when all other files of the splits are complete.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from src.core import store
from src.core.parquet import count_rows
from src.core.run import Run, count_built
from src.data import paths

HISTORY, TUNING = "history", "tuning"
HISTORY_BYTES = 80
"""Memory for an event while a history is written: all columns, filtered and renumbered."""
MIN_GROWTH = 0.01
"""Share of the events that must be new for a rebuild: a few clicks would change nothing."""
ROLES = ("valid", "test", "train", TUNING, HISTORY)


@dataclass(frozen=True)
class Split:
    """Name, role and size of a split; its queries are its last sessions."""

    name: str
    role: str
    origin: str  # the part of the raw data that it hides; of a history, the split that it precedes
    sessions: int
    queries: int
    since: int | None = None  # second before which no query begins, and others have all events;
    # of a history for what is rebuilt, the second that its events are earlier than

    @classmethod
    def read(cls, run: Run, name: str, role: str, origin: str, since: int | None = None) -> Split:
        """Read the size of a split from its sessions.parquet."""
        rows = pl.scan_parquet(paths.sessions(run, name))
        sessions, queries = rows.select(pl.len(), pl.col("query").sum()).collect().row(0)
        return cls(name, role, origin, sessions, queries, since)

    @property
    def first_query(self) -> int:
        return self.sessions - self.queries


def write_splits(run: Run, splits: list[Split]) -> None:
    """Write splits.json, which allows the other steps to start; make histories before it."""
    histories = [h for split in splits for h in write_histories(run, split)]
    text = json.dumps([asdict(split) for split in [*splits, *histories]], indent=1)
    store.write_text(run.output / "splits.json", text)


def remove_splits(run: Run) -> None:
    """Remove splits.json, so that no step reads splits that step 1 is about to replace."""
    (run.output / "splits.json").unlink(missing_ok=True)


def read_splits(run: Run) -> list[Split]:
    """Read splits.json; raise FileNotFoundError, with the step to run, before step 1 has ended."""
    return splits_in(run.output)


def splits_in(output: Path) -> list[Split]:
    """Read splits.json of an output folder, as `read_splits`."""
    path = output / "splits.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run 1_preparation.py first")
    rows = json.loads(path.read_text())
    if not all(isinstance(row, dict) and row.get("role") in ROLES for row in rows):
        raise ValueError(f"{path} is of an older version; run 1_preparation.py again")
    return [Split(**row) for row in rows]


def split_named(run: Run, name: str) -> Split:
    """Return the split of that name."""
    return next(split for split in read_splits(run) if split.name == name)


def write_histories(run: Run, split: Split) -> list[Split]:
    """Make the histories of a split: that of its window, and those for what is rebuilt."""
    if not run.recipe.as_deployed:
        return []
    histories = []
    if split.since is not None:
        histories.append(_write_history(run, split, f"{split.name}_history", split.since))
    periods = {row.rebuild_s for row in run.recipe.matrices if row.rebuild_s}
    for start in sorted({s for every in periods for s in rebuild_starts(run, split, every)}):
        name = f"{split.name}_before_{datetime.fromtimestamp(start, UTC):%Y%m%dT%H%M}"
        history = _write_history(run, split, name, start)
        histories.append(replace(history, since=start))
    return histories


def _write_history(run: Run, split: Split, name: str, end: int) -> Split:
    """Make the tables of the events of a split before a second; return them as a split."""
    files = [paths.sessions(run, name), paths.events(run, name)]
    inputs = [paths.sessions(run, split.name), paths.events(run, split.name)]

    def write(temporary: dict[Path, Path]) -> None:
        run.budget.claim(name, HISTORY_BYTES * count_rows(inputs[1]), 0)
        events = pl.read_parquet(inputs[1]).filter(pl.col("ts") < end)
        sessions = pl.read_parquet(inputs[0])[events["session"].unique(maintain_order=True)]
        tables = {
            files[0]: sessions.with_columns(query=pl.lit(False)),
            files[1]: events.with_columns(pl.col("session").rle_id().cast(pl.Int32)),
        }
        for path, part in temporary.items():
            tables[path].write_parquet(part)

    with run.step(name) as summary:
        built = run.build_many(dict.fromkeys(files, end), write, inputs)
        summary |= count_built(file in built for file in files)
        summary["events"] = count_rows(files[1])
    return Split.read(run, name, HISTORY, split.name)


def rebuild_starts(run: Run, split: Split, every: int) -> list[int]:
    """Choose when what is rebuilt every so many seconds is made for the queries of a split.

    A start begins a period with a query. There are events before it, and MIN_GROWTH of them are not
    before the start that is chosen before it. So no start depends on later events.
    """
    run.budget.claim(f"{split.name} rebuilds", 24 * count_rows(paths.events(run, split.name)), 0)
    events = pl.scan_parquet(paths.events(run, split.name)).select("session", "ts").collect()
    queries = events.filter(pl.col("session") >= split.first_query)
    last = queries.group_by("session").agg(pl.col("ts").max())["ts"].to_numpy()
    starts = np.unique(last.astype(np.int64) // every * every)
    counts = np.searchsorted(np.sort(events["ts"].to_numpy()), starts)
    chosen: list[int] = []
    known = 0
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        if count and count - known >= MIN_GROWTH * count:
            chosen.append(start)
            known = count
    return chosen


def rebuilt_splits(run: Run, name: str, every: int) -> dict[str, int]:
    """Return the histories of a split from which rows with that `rebuild_s` are made, in order.

    Name -> second that its events are earlier than. Without `--causal`, and for 0, there are none.
    """
    if not (every and run.recipe.as_deployed):
        return {}
    found = [split for split in read_splits(run) if split.role == HISTORY and split.origin == name]
    return {s.name: s.since for s in found if s.since is not None and s.since % every == 0}


def counted_split(run: Run, name: str) -> str:
    """Return the split whose events are counted for a split.

    It is the split itself, or `valid` for `test` where `Recipe.refit` is False.
    """
    if run.recipe.refit or split_named(run, name).role != "test":
        return name
    return next(split.name for split in read_splits(run) if split.role == "valid")


def fitted_split(run: Run, name: str) -> str:
    """Return the split that a split's matrices, vectors and statistics are made from.

    It is the `counted_split`, or with `--causal` its history.
    """
    counted = counted_split(run, name)
    histories = (split for split in read_splits(run) if split.role == HISTORY)
    of_split = {split.origin: split.name for split in histories if split.since is None}
    return of_split.get(counted, counted) if run.recipe.as_deployed else counted


def fitted_splits(run: Run) -> list[str]:
    """Return the names of the splits that matrices, vectors and statistics are made from."""
    return list(dict.fromkeys(fitted_split(run, name) for name in all_splits(run)))


def preceded_split(run: Run, name: str) -> str:
    """Return the split that a history precedes; the name itself for any other split."""
    split = split_named(run, name)
    return split.origin if split.role == HISTORY else name


def all_splits(run: Run) -> list[str]:
    """Return the names of all splits whose queries get candidates, `valid` first."""
    return [split.name for split in read_splits(run) if split.role not in (TUNING, HISTORY)]


def matrix_splits(run: Run) -> list[str]:
    """Return the names of all splits whose matrices are counted, `valid` first."""
    return [split.name for split in read_splits(run) if split.role != HISTORY]


def tuning_split(run: Run) -> str | None:
    """Return the split whose queries tune the retrievers, if there is one.

    It is the first training split, which is the one nearest to `valid`.
    """
    splits = read_splits(run)
    names = [split.name for role in (TUNING, "train") for split in splits if split.role == role]
    return names[0] if names else None


def labelled_splits(run: Run) -> list[str]:
    """Return the names of the splits with labels: `valid`, and those of the role "train"."""
    return [split.name for split in read_splits(run) if split.role in ("valid", "train")]


def scored_splits(run: Run) -> list[str]:
    """Return the names of the splits whose candidates are scored: `valid`, and `test` if any."""
    return scored_in(run.output)


def scored_in(output: Path) -> list[str]:
    """Return `scored_splits` of an output folder. The submission answers the last one."""
    return [split.name for split in splits_in(output) if split.role in ("valid", "test")]
