"""The sampled rows of step 5 in memory, once for all folds, and fed to XGBoost in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray

from src.events import F32, I8, I32, I64

BATCH = 100_000  # rows that XGBoost is given at a time, about


@dataclass(frozen=True)
class Rows:
    """Rows of one objective: features X (n, features), label, fold (-1: in no one's), query.

    query ascends: a number per file and session.
    """

    X: F32
    label: I8
    fold: I8
    query: I32

    @classmethod
    def load(cls, files: tuple[Path, ...], objective: str, names: list[str]) -> Rows:
        """Read the rows that were sampled for an objective, file by file."""
        wanted = pl.col(f"label_{objective}").is_not_null()
        scans = [pl.scan_parquet(file).filter(wanted) for file in files]
        sizes = [int(scan.select(pl.len()).collect().item()) for scan in scans]
        X = np.empty((sum(sizes), len(names)), np.float32)
        heads, at = [], 0
        for n, (scan, size) in enumerate(zip(scans, sizes, strict=True)):
            table = scan.collect()
            for column, name in enumerate(names):  # a whole copy of the table would double the need
                X[at : at + size, column] = table[name].to_numpy()
            head = table.select("session", "fold", label=f"label_{objective}")
            heads.append(head.with_columns(file=pl.lit(n, pl.Int32)))
            at += size
        head = pl.concat(heads)
        query = head.select(pl.struct("file", "session").rle_id()).to_series()
        return cls(
            X, head["label"].to_numpy(), head["fold"].to_numpy(), query.to_numpy().astype(np.int32)
        )


class Batches(xgb.DataIter):
    """Some rows for a QuantileDMatrix, queries uncut; `by_query` tells them to rank objectives."""

    def __init__(self, rows: Rows, mask: NDArray[np.bool_], names: list[str], by_query: bool):
        self.rows, self.names, self.by_query = rows, names, by_query
        self.chosen = np.flatnonzero(mask)
        self.borders = borders(rows.query[self.chosen])
        self.at = 0
        super().__init__()

    def reset(self) -> None:
        """Begin anew."""
        self.at = 0

    def next(self, input_data: Callable[..., None]) -> bool:
        """Hand the next batch over; False behind the last one."""
        if self.at == self.borders.size - 1:
            return False
        rows = self.chosen[self.borders[self.at] : self.borders[self.at + 1]]
        query = {"qid": self.rows.query[rows]} if self.by_query else {}
        input_data(
            data=self.rows.X[rows], label=self.rows.label[rows], feature_names=self.names, **query
        )
        self.at += 1
        return True


def borders(query: I32) -> I64:
    """Where batches of about BATCH rows begin, and the end: only between two queries."""
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    wanted = np.arange(0, query.size, BATCH)
    firsts = np.unique(starts[np.minimum(np.searchsorted(starts, wanted), starts.size - 1)])
    return np.append(firsts, query.size).astype(np.int64)
