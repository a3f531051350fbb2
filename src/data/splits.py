"""The splits of a run, with their roles: splits.json, written by step 1 when all else is there.

A split hides some events and asks for them: the queries of `valid` are scored, those of `test` are
answered in the submission, those of a split whose role is "train" are only learned from.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import polars as pl

from src.core import store
from src.core.run import Run
from src.data import paths

ROLES = ("valid", "test", "train")


@dataclass(frozen=True)
class Split:
    """One split; its queries are its last sessions."""

    name: str
    role: str
    origin: str  # which part of the raw data it hides
    sessions: int
    queries: int

    @classmethod
    def made(cls, run: Run, name: str, role: str, origin: str) -> Split:
        """Describe a split whose sessions.parquet is there."""
        rows = pl.scan_parquet(paths.sessions(run, name))
        sessions, queries = rows.select(pl.len(), pl.col("query").sum()).collect().row(0)
        return cls(name, role, origin, sessions, queries)

    @property
    def first_query(self) -> int:
        return self.sessions - self.queries


def write_splits(run: Run, splits: list[Split]) -> None:
    """Write splits.json: from then on other steps can go on."""
    text = json.dumps([asdict(split) for split in splits], indent=1)
    store.write_text(run.output / "splits.json", text)


def forget_splits(run: Run) -> None:
    """Remove splits.json: until all is made, no step may take old splits with new items."""
    (run.output / "splits.json").unlink(missing_ok=True)


def read_splits(run: Run) -> list[Split]:
    """Read splits.json; raises FileNotFoundError where step 1 has not ended."""
    path = run.output / "splits.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run 1_preparation.py first")
    rows = json.loads(path.read_text())
    if not all(isinstance(row, dict) and row.get("role") in ROLES for row in rows):
        raise ValueError(f"{path} is of an older version; run 1_preparation.py again")
    return [Split(**row) for row in rows]


def split_named(run: Run, name: str) -> Split:
    """The split of that name."""
    return next(split for split in read_splits(run) if split.name == name)


def all_splits(run: Run) -> list[str]:
    """Names of all splits, `valid` first."""
    return [split.name for split in read_splits(run)]


def labelled_splits(run: Run) -> list[str]:
    """Names of the splits with labels: `valid`, and those that are only learned from."""
    return [split.name for split in read_splits(run) if split.role != "test"]


def scored_splits(run: Run) -> list[str]:
    """Names of the splits whose candidates are scored: `valid`, and `test` where there is one."""
    return [split.name for split in read_splits(run) if split.role != "train"]
