"""The pool: per query the candidates that the rankers see, with what every rule said of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from src.candidates import pool_kernel
from src.core.arrays import F32, I32, I64, arrays


@dataclass(frozen=True)
class Pool:
    """Candidates of queries first : first + n as CSR, most votes first.

    vote: fused vote (float32); ranks (rows, rules): uint8, 255 where a rule did not name the
    candidate; scores (rows, rules): float32, 0 there.
    """

    first: int
    offsets: I64
    item: I32
    vote: F32
    ranks: np.ndarray
    scores: F32

    @property
    def session(self) -> I32:
        """Dense session of each row."""
        n = self.offsets.size - 1
        return np.repeat(
            np.arange(self.first, self.first + n, dtype=np.int32), np.diff(self.offsets)
        )

    def to_frame(self, rules: list[str]) -> pl.DataFrame:
        columns: dict[str, object] = {"session": self.session, "item": self.item, "vote": self.vote}
        for r, name in enumerate(rules):
            columns[f"rank_{name}"] = self.ranks[:, r]
            columns[f"score_{name}"] = self.scores[:, r]
        return pl.DataFrame(columns)

    @classmethod
    def load(cls, path: Path, rules: list[str], first: int, end: int) -> Pool:
        frame = pl.read_parquet(path)
        session, item, vote = arrays(frame, "session", "item", "vote")
        offsets = np.searchsorted(session, np.arange(first, end + 1))
        ranks = frame.select(f"rank_{r}" for r in rules).to_numpy(order="c")
        scores = frame.select(f"score_{r}" for r in rules).to_numpy(order="c")
        return cls(first, offsets.astype(np.int64), item, vote, ranks, scores)


def candidates(lists: pl.DataFrame, first: int, end: int, size: int) -> tuple[I64, I32, F32]:
    """The `size` most voted items of sessions first : end as CSR: offsets, item, vote.

    lists: LISTS rows sorted by session.
    """
    session, rank, item = arrays(lists, "session", "rank", "item")
    offsets = np.searchsorted(session, np.arange(first, end + 1))
    best, vote = pool_kernel.fuse(offsets, rank, item, size)
    full = best >= 0
    starts = np.concatenate([[0], np.cumsum(full.sum(axis=1))]).astype(np.int64)
    return starts, best[full], vote[full]


def merge(lists: pl.DataFrame, n_rules: int, first: int, end: int, size: int) -> Pool:
    """Pool of sessions first : end: their candidates, and what every rule said of them."""
    starts, pool, vote = candidates(lists, first, end, size)
    session, rule, rank, item, score = arrays(lists, "session", "rule", "rank", "item", "score")
    offsets = np.searchsorted(session, np.arange(first, end + 1))
    ranks = np.full((pool.size, n_rules), pool_kernel.ABSENT, np.uint8)
    scores = np.zeros((pool.size, n_rules), np.float32)
    pool_kernel.spread(offsets, rule, rank, item, score, starts, pool, ranks, scores)
    return Pool(first, starts, pool, vote, ranks, scores)
