"""Candidates of a split in batches of queries, with their features: what is sampled and scored."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.candidates.pool import Pool
from src.core.arrays import F32, I64
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.shards import Shard, batches, shard_file
from src.data.split_data import SplitData
from src.features.table import FeatureTable

QUERIES = 500
"""Queries of a batch: the features of all their candidates are in memory at the same time."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class CandidateBatch:
    """The candidates of some queries with their features.

    X: float32 (rows, names); rows: the row of X of each candidate of the pool, so that some of the
    queries are scored without a copy of their features.
    """

    data: SplitData
    pool: Pool
    names: list[str]
    X: F32
    rows: I64

    @classmethod
    def compute(
        cls, features: FeatureTable, data: SplitData, pool: Pool,
        wanted: Collection[str] | None = None,
    ) -> CandidateBatch:  # fmt: skip
        """Compute the features of a pool, or those that are wanted: the others may be 0."""
        X = features.compute(data, pool, wanted)
        return cls(data, pool, features.names, X, np.arange(len(X)))

    def keep_queries(self, mask: Mask) -> CandidateBatch:
        """Keep the candidates of the marked queries; the other queries become empty."""
        rows = np.repeat(mask, np.diff(self.pool.offsets))
        return replace(self, pool=keep_rows(self.pool, rows), rows=self.rows[rows])


def pools(data: SplitData, shard: Shard) -> Iterator[Pool]:
    """Yield the pool of a shard in batches of queries."""
    retrievers = [row.name for row in data.run.recipe.retrievers]
    path = shard_file(data.run.output / data.split / "pool", shard)
    whole = Pool.load(path, retrievers, shard.first, shard.end)
    for first, end in batches(0, shard.end - shard.first, QUERIES):
        yield pool_slice(whole, first, end)


def pool_slice(pool: Pool, first: int, end: int) -> Pool:
    """Take queries first : end of a pool, counted from its own first."""
    a, b = pool.offsets[first], pool.offsets[end]
    return Pool(
        pool.first + first, pool.offsets[first : end + 1] - a, pool.item[a:b],
        pool.rrf_score[a:b], pool.ranks[a:b], pool.scores[a:b],
    )  # fmt: skip


def keep_rows(pool: Pool, rows: Mask) -> Pool:
    """Keep the marked candidates of a pool; a query that loses all of them becomes empty."""
    running = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
    return Pool(
        pool.first, running[pool.offsets], pool.item[rows], pool.rrf_score[rows],
        pool.ranks[rows], pool.scores[rows],
    )  # fmt: skip


def keep_queries(pool: Pool, mask: Mask) -> Pool:
    """Keep the candidates of the marked queries; the other queries become empty."""
    return keep_rows(pool, np.repeat(mask, np.diff(pool.offsets)))


def batch_inputs(run: Run, split: str, shard: Shard) -> list[Path]:
    """Files that the candidates of a shard and their features are read and computed from."""
    pool = shard_file(run.output / split / "pool", shard)
    tables = [file for row in run.recipe.features for file in row.inputs(run, split)]
    return list(dict.fromkeys([paths.events(run, split), pool, *tables]))


def claim_batches(data: SplitData, step: str, written: float) -> None:
    """Claim the memory for the features of a split's batches, and disk for what is written.

    Of the sessions 16 bytes an event and a session are held. A batch takes 12 bytes a cell: X, the
    rows of it that are kept, and these as a table.
    """
    run, split, recipe = data.run, data.split, data.run.recipe
    groups = [row.memory(run, split) for row in recipe.features]
    sessions = 16.0 * (count_rows(paths.events(run, split)) + data.n_sessions)
    cells = float(len(FeatureTable(recipe).names) * QUERIES * recipe.pool_size)
    memory = sessions + sum(group.held for group in groups) + 12 * cells
    run.budget.claim(f"{split} {step}", memory, written + sum(group.mapped for group in groups))
