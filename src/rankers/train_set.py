"""Read the training table: all columns but the features, which are read when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import F32, I8, I32, I64, Mask, arrays, offsets_of_sizes

KEYS = ("session", "item", "fold")
LABEL, CHANCE = "label:", "log_chance:"
"""Columns that are no features: KEYS, and those whose names begin with LABEL or CHANCE.

No feature has a colon in its name.
"""
SELECTION_ROWS = 15_000
"""Rows, about, by which features are selected."""


@dataclass(frozen=True)
class TrainSet:
    """The rows of the training table that are sampled for some objectives.

    Arrays (rows): session; item; fold, -1 where all folds learn from the row; query, a number per
    file and session, ascending; label, 0 for a negative. With one objective, the label is the
    grade. With several, it is n for a positive of the n-th objective (from 1; the largest n
    counts). file_offsets: CSR of the files. log_chance: of Sampler.log_chances, the highest of all
    objectives; 0 in a table without it.
    """

    files: tuple[Path, ...]
    objectives: tuple[str, ...]
    session: I32
    item: I32
    label: F32
    fold: I8
    query: I32
    file_offsets: I64
    log_chance: F32

    @classmethod
    def read(cls, files: Sequence[Path], objectives: Sequence[str]) -> TrainSet:
        """Read all columns but the features."""
        labels = [pl.col(f"{LABEL}{name}") for name in objectives]
        if len(labels) > 1:
            labels = [(label > 0) * pl.lit(n, pl.Float32) for n, label in enumerate(labels, 1)]
        known = [f"{CHANCE}{n}" for n in objectives if f"{CHANCE}{n}" in _columns(files)]
        chance = pl.max_horizontal(known) if known else pl.lit(0.0)
        heads = [
            pl.scan_parquet(file)
            .select(
                *KEYS,
                label=pl.max_horizontal(labels).cast(pl.Float32),
                log_chance=chance.cast(pl.Float32),
            )
            .drop_nulls("label")
            .with_columns(file=pl.lit(n, pl.Int32))
            .collect()
            for n, file in enumerate(files)
        ]
        head = pl.concat(heads)
        query = head.select(pl.struct("file", "session").rle_id()).to_series()
        session, item, label, fold, log_chance = arrays(
            head, "session", "item", "label", "fold", "log_chance"
        )
        offsets = np.cumsum([0, *(h.height for h in heads)])
        return cls(
            tuple(files), tuple(objectives), session, item, label, fold,
            query.to_numpy().astype(np.int32), offsets, log_chance,
        )  # fmt: skip

    @cached_property
    def names(self) -> list[str]:
        """Names of all features, in the order of the table."""
        no_features = (LABEL, CHANCE)
        return [n for n in _columns(self.files) if n not in KEYS and not n.startswith(no_features)]

    def infinite(self, names: Sequence[str]) -> list[str]:
        """List the features with an infinite value, which XGBoost refuses."""
        rows = pl.scan_parquet(list(self.files))
        found = rows.select(pl.col(names).is_infinite().any()).collect()
        return [name for name in names if found[name].item()]

    @cached_property
    def offsets(self) -> I64:
        """CSR offsets of the queries: int64 (queries + 1)."""
        return np.append(np.flatnonzero(np.diff(self.query, prepend=-1)), self.query.size)

    def grades(self) -> F32:
        """Read the grades of each objective: float32 (rows, objectives).

        A grade is NaN where the row is not sampled for the objective.
        """
        return self._of_objectives(LABEL, np.nan)

    def correction(self, fold: int) -> F32:
        """Return what a loss of log-odds adds to the scores: float32 (rows), of a model of a fold.

        It is minus log_chance, and a constant: its mean over the train rows is the log-odds of a
        positive, from where a training begins. 0 where all negatives have the same chance.
        """
        if not self.log_chance.any():
            return np.zeros_like(self.log_chance)
        train = self.fold != fold
        positives = (self.label[train] > 0).mean()
        constant = np.log(positives / (1 - positives)) + self.log_chance[train].mean()
        return (constant - self.log_chance).astype(np.float32)

    def corrections(self) -> F32:
        """Return minus log_chance of each objective: float32 (rows, objectives)."""
        if f"{CHANCE}{self.objectives[0]}" not in _columns(self.files):
            return np.zeros((self.label.size, len(self.objectives)), np.float32)
        return -self._of_objectives(CHANCE, 0.0)

    def _of_objectives(self, prefix: str, missing: float) -> F32:
        names = [f"{prefix}{name}" for name in self.objectives]
        tables = (self._sampled(file).select(names).collect() for file in self.files)
        return np.concatenate([t.cast(pl.Float32).fill_null(missing).to_numpy() for t in tables])

    def _sampled(self, file: Path) -> pl.LazyFrame:
        """Return the rows of a file that are sampled for some objective."""
        labels = [pl.col(f"{LABEL}{name}").is_not_null() for name in self.objectives]
        return pl.scan_parquet(file).filter(pl.any_horizontal(labels))

    def file_features(self, file: int, names: list[str]) -> F32:
        """Read some features of the rows of one file: float32 (rows, names)."""
        table = self._sampled(self.files[file]).select(names).collect()
        X = np.empty((table.height, len(names)), np.float32)
        for column, name in enumerate(names):
            X[:, column] = table[name].to_numpy()
        return X

    def load(self, mask: Mask, names: list[str]) -> F32:
        """Read some features of the marked rows of all files into memory."""
        X, row = np.empty((int(mask.sum()), len(names)), np.float32), 0
        for file, (first, end) in enumerate(pairwise(self.file_offsets)):
            if marked := int(mask[first:end].sum()):
                rows = X[row : (row := row + marked)]
                np.compress(mask[first:end], self.file_features(file, names), axis=0, out=rows)
        return X

    def subsample(self, mask: Mask, max_rows: int) -> Mask:
        """Sample about max_rows of the marked rows: whole queries of evenly spaced files."""
        marked = np.diff(offsets_of_sizes(mask)[self.file_offsets])
        stride = max(1, round(mask.sum() / max(max_rows, int(marked.max()))))
        sampled_files = np.arange(len(self.files)) % stride == 0
        in_files: Mask = mask & np.repeat(sampled_files, np.diff(self.file_offsets))
        return in_files & (self.query % max(1, round(in_files.sum() / max_rows)) == 0)

    def counts(self, fold: int) -> dict[str, int]:
        """Count train and valid rows of a fold, and the positives among them."""
        counts = {}
        for name, mask in (("train", self.fold != fold), ("valid", self.fold == fold)):
            counts[f"{name}_rows"] = int(mask.sum())
            counts[f"{name}_positives"] = int((self.label[mask] > 0).sum())
        return counts

    def check(self, target: str, fold: int) -> None:
        """Raise ValueError where the train or the valid rows have one label, or are none."""
        for mask in (self.fold != fold, self.fold == fold):
            if np.unique(self.label[mask]).size < 2:
                raise ValueError(
                    f"objective {target}, fold {fold}: all {mask.sum()} rows have one label; "
                    "take more data (a larger --sample) or fewer folds"
                )

    def reading_memory(self, max_features: int | None) -> float:
        """Estimate the bytes that a fold takes to select features and to read a file at a time."""
        n_features = len(self.names)
        largest = int(np.diff(self.file_offsets).max())
        selection = 0
        if max_features is not None and max_features < n_features:
            selection = min(SELECTION_ROWS + largest, self.label.size) * n_features
        return selection + 8.0 * largest * n_features

    def cells(self, max_features: int | None) -> int:
        """Return rows x features of a ranker that reads at most max_features."""
        return self.label.size * min(max_features or len(self.names), len(self.names))


def _columns(files: Sequence[Path]) -> list[str]:
    return list(pl.read_parquet_schema(files[0]))
