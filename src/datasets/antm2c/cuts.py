"""Split the log by time: training, validation, test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from src.core.arrays import I32
from src.datasets.antm2c.files import RawFile, rows_of

PUBLIC = ("2023-08-03 00:00:00", "2023-08-05 00:00:00")
"""The last seconds of training and of validation in published results."""
SHARES = (0.77, 0.84)
"""Of the span of time, where the public ones do not fit: about where these are in the full data."""
MIN_SHARE = 0.01
"""Of the rows that each part needs for the public ones to fit."""


class Part(NamedTuple):
    """A split: the rows of some files with first <= ts < end."""

    name: str
    role: str
    first: int
    end: int
    files: tuple[RawFile, ...]


class Cuts(NamedTuple):
    """The first seconds of validation and of test; how they were found."""

    valid: int
    test: int
    source: str

    def describe(self) -> dict[str, object]:
        """Describe the cuts for the progress line."""
        ends = {"train until": self.valid - 1, "valid until": self.test - 1}
        times = {name: f"{datetime.fromtimestamp(ts, UTC):%Y-%m-%d %H:%M:%S}"
                 for name, ts in ends.items()}  # fmt: skip
        return {"from": self.source, **times}


def times(files: Sequence[RawFile]) -> I32:
    """Read the times of the good rows of some files."""
    rows = pl.read_parquet(rows_of(files), columns=["ts"])
    return rows["ts"].to_numpy()


def find_cuts(ts: I32, alone: bool) -> Cuts:
    """Take the public cuts where they fit the log, else shares of its time.

    ts: times of all files but test.csv. alone: whether there is none; it is the whole test, and
    validation ends with the log. Raises ValueError where training or validation has no row.
    """
    if not ts.size:
        raise ValueError("the raw files hold no good row; quarantine.csv says why")
    first, end = int(ts.min()), int(ts.max()) + 1
    valid, test = (_second(text) + 1 for text in PUBLIC)
    public = Cuts(valid, test, "the public split")
    valid, test = (first + round(share * (end - first)) for share in SHARES)
    shares = Cuts(valid, test, "shares of the time")
    for cuts in (public, shares):
        found = cuts if alone else cuts._replace(test=max(end, cuts.valid))
        sizes = np.bincount(np.searchsorted(found[:2], ts, side="right"), minlength=3)
        if (sizes[: 3 if alone else 2] >= MIN_SHARE * ts.size).all():
            break
    if not sizes[:2].all():
        raise ValueError("no row is left for training or validation; give a log of more time")
    return found


def split_parts(files: Sequence[RawFile], cuts: Cuts) -> list[Part]:
    """List the splits: `valid` first, then test, then train_1; a test without rows is left out."""
    log = tuple(file for file in files if not file.is_test)
    tests = tuple(file for file in files if file.is_test)
    ts = times(log)
    found = [Part("valid", "valid", cuts.valid, cuts.test, log)]
    start, of_test = (cuts.test, times(tests or log))
    if tests and of_test.size:
        found.append(Part("test", "test", int(of_test.min()), int(of_test.max()) + 1, tests))
    elif not tests and (of_test >= start).any():
        found.append(Part("test", "test", start, int(ts.max()) + 1, log))
    return [*found, Part("train_1", "train", int(ts.min()), cuts.valid, log)]


def _second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
