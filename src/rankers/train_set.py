"""The sampled rows of step 5, fed to XGBoost file by file: never all features in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray

from src.core.arrays import F32, I8, I32, I64, arrays


@dataclass(frozen=True)
class Rows:
    """The rows sampled for some objectives: all but the features, which stay in the files.

    session, item, label, fold (-1: in no one's) and query, one a row; query ascends: a number per
    file and session. starts: the first row of each file, and the end. label: the grade, which is
    the place (from 1) of the last objective that came true; of one objective that is 1 or 0.
    """

    files: tuple[Path, ...]
    objectives: tuple[str, ...]
    session: I32
    item: I32
    label: I8
    fold: I8
    query: I32
    starts: I64

    @classmethod
    def load(cls, files: Sequence[Path], objectives: Sequence[str]) -> Rows:
        """Read all but the features."""
        grades = [pl.col(f"label_{name}") * (n + 1) for n, name in enumerate(objectives)]
        heads = [
            pl.scan_parquet(file)
            .select("session", "item", "fold", label=pl.max_horizontal(grades))
            .drop_nulls("label")
            .with_columns(file=pl.lit(n, pl.Int32))
            .collect()
            for n, file in enumerate(files)
        ]
        head = pl.concat(heads)
        query = head.select(pl.struct("file", "session").rle_id()).to_series()
        session, item, label, fold = arrays(head, "session", "item", "label", "fold")
        starts = np.cumsum([0, *(h.height for h in heads)])
        numbers = query.to_numpy().astype(np.int32)
        return cls(
            tuple(files), tuple(objectives), session, item, label, fold, numbers, starts
        )  # fmt: skip

    def features(self, file: int, names: list[str]) -> F32:
        """Some features of the rows of one file, float32 of shape (rows, names)."""
        scan, sampled = pl.scan_parquet(self.files[file]), pl.lit(False)
        for objective in self.objectives:
            sampled |= pl.col(f"label_{objective}").is_not_null()
        table = scan.filter(sampled).select(names).collect()
        X = np.empty((table.height, len(names)), np.float32)
        for column, name in enumerate(names):
            X[:, column] = table[name].to_numpy()
        return X

    def gather(self, mask: NDArray[np.bool_], names: list[str]) -> F32:
        """Some features of the marked rows, all in memory."""
        found = [np.empty((0, len(names)), np.float32)]
        for file, (first, end) in enumerate(pairwise(self.starts)):
            if mask[first:end].any():
                found.append(self.features(file, names)[mask[first:end]])
        return np.concatenate(found)

    def some(self, mask: NDArray[np.bool_], at_most: int) -> NDArray[np.bool_]:
        """The mask, left true for about so many rows: whole queries of evenly spaced files."""
        in_file = np.diff(np.concatenate([[0], np.cumsum(mask)])[self.starts])
        stride = max(1, round(mask.sum() / max(at_most, int(in_file.max()))))
        kept = np.arange(len(self.files)) % stride == 0
        few: NDArray[np.bool_] = mask & np.repeat(kept, np.diff(self.starts))
        return few & (self.query % max(1, round(few.sum() / at_most)) == 0)


class Batches(xgb.DataIter):
    """Some rows for a QuantileDMatrix, a file a batch."""

    def __init__(self, rows: Rows, mask: NDArray[np.bool_], names: list[str]):
        self.rows, self.mask, self.names = rows, mask, names
        self.file = 0
        super().__init__()

    def reset(self) -> None:
        """Begin anew."""
        self.file = 0

    def next(self, input_data: Callable[..., None]) -> bool:
        """Hand the rows of the next file over; False behind the last one."""
        rows = self.rows
        while self.file < len(rows.files):
            first, end = rows.starts[self.file : self.file + 2]
            chosen = np.flatnonzero(self.mask[first:end])
            self.file += 1
            if chosen.size:
                X = rows.features(self.file - 1, self.names)
                label = rows.label[first + chosen]
                input_data(data=X[chosen], label=label, feature_names=self.names)
                return True
        return False
