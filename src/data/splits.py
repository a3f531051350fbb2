"""Read and write splits.json: the splits of a run and their roles.

A split hides some events, which are to be predicted for its queries. Queries of `valid` are scored,
and those of `test` are in the submission. Splits of the role "train" only add training data. Step 1
writes splits.json when all other files of the splits are complete.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from src.core import store
from src.core.run import Run
from src.data import paths

ROLES = ("valid", "test", "train")


@dataclass(frozen=True)
class Split:
    """Name, role and size of a split; its queries are its last sessions."""

    name: str
    role: str
    origin: str  # the part of the raw data that it hides
    sessions: int
    queries: int

    @classmethod
    def read(cls, run: Run, name: str, role: str, origin: str) -> Split:
        """Read the size of a split from its sessions.parquet."""
        rows = pl.scan_parquet(paths.sessions(run, name))
        sessions, queries = rows.select(pl.len(), pl.col("query").sum()).collect().row(0)
        return cls(name, role, origin, sessions, queries)

    @property
    def first_query(self) -> int:
        return self.sessions - self.queries


def write_splits(run: Run, splits: list[Split]) -> None:
    """Write splits.json, which allows the other steps to start."""
    text = json.dumps([asdict(split) for split in splits], indent=1)
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


def fitted_split(run: Run, name: str) -> str:
    """Return the split that a split's matrices, vectors and counts are made from.

    It is the split itself, or `valid` for `test` where `Recipe.refit` is False.
    """
    if run.recipe.refit or split_named(run, name).role != "test":
        return name
    return next(split.name for split in read_splits(run) if split.role == "valid")


def all_splits(run: Run) -> list[str]:
    """Return the names of all splits, `valid` first."""
    return [split.name for split in read_splits(run)]


def labelled_splits(run: Run) -> list[str]:
    """Return the names of the splits with labels: `valid`, and those of the role "train"."""
    return [split.name for split in read_splits(run) if split.role != "test"]


def scored_splits(run: Run) -> list[str]:
    """Return the names of the splits whose candidates are scored: `valid`, and `test` if any."""
    return [split.name for split in read_splits(run) if split.role != "train"]
