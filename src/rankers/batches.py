"""Batches of candidates with their features, as steps 5 and 6 compute them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.candidates.lists import BYTES_HELD, BYTES_WHILE_READ
from src.candidates.pool import Pool, StoredPool, candidates_per_query, files_of_pool
from src.core.arrays import F32, I64, Mask
from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.given import given_offsets
from src.data.shards import Shard, shards
from src.data.split_data import SplitData
from src.features.table import Buffer, FeatureTable

QUERIES_PER_BATCH = 500
ROWS_PER_BATCH = 75_000
"""Queries of a batch at most, and their candidates, whose features are in memory at the same time.

A batch of one query may have more. Where each query has one candidate, only the latter counts.
"""


@dataclass(frozen=True)
class CandidateBatch:
    """The candidates of some queries with their features.

    X: float32 (rows, names). rows: int64 (candidates), the row of X of each candidate of the pool:
    `keep_queries` need not copy X.
    """

    data: SplitData
    pool: Pool
    names: list[str]
    X: F32
    rows: I64

    @classmethod
    def compute(
        cls, features: FeatureTable, data: SplitData, pool: Pool,
        wanted: Collection[str] | None = None, buffer: Buffer | None = None,
    ) -> CandidateBatch:  # fmt: skip
        """Compute the features of a pool; those that are not wanted may be 0 (None: all are).

        buffer: where they lie, until those of the next batch are computed in it.
        """
        X = features.compute(data, pool, wanted, buffer)
        return cls(data, pool, features.names, X, np.arange(len(X)))

    def keep_queries(self, mask: Mask) -> CandidateBatch:
        """Keep the candidates of the marked queries; all other queries become empty."""
        rows = np.repeat(mask, np.diff(self.pool.offsets))
        return replace(self, pool=self.pool.keep(mask), rows=self.rows[rows])


def pools(data: SplitData, shard: Shard) -> Iterator[Pool]:
    """Yield the pool of a shard in batches of queries."""
    stored, first = StoredPool.read(data.run, data.split, shard), 0
    offsets, n_queries = stored.items.offsets, shard.end - shard.first
    most = queries_per_batch(data.run, data.split)
    while first < n_queries:
        fits = np.searchsorted(offsets, offsets[first] + ROWS_PER_BATCH, side="right")
        end = min(max(int(fits) - 1, first + 1), first + most, n_queries)
        yield stored.batch(first, end)
        first = end


def queries_per_batch(run: Run, split: str) -> int:
    """Return the most queries of a batch."""
    return QUERIES_PER_BATCH if candidates_per_query(run, split) > 1 else ROWS_PER_BATCH


def batch_inputs(run: Run, split: str, shard: Shard) -> list[Path]:
    """List the files from which candidates of a shard and their features are computed."""
    tables = [file for row in run.recipe.features for file in row.inputs(run, split)]
    if paths.log(run, "visits").exists():  # the histories that nets read
        tables += [paths.impressions(run, split), paths.log(run, "visits")]
    pool = files_of_pool(run, split, shard)
    return list(dict.fromkeys([paths.events(run, split), *pool, *tables]))


def claim_batches(data: SplitData, step: str, written: float, held: float = 0.0) -> None:
    """Claim memory for the batches of a split and `held` bytes, and `written` bytes of disk.

    Memory holds 16 bytes per event and per session, and the pool and the lists of a shard. A batch
    takes 12 bytes per cell: X, the rows that are kept, and a table of these, in float32.
    """
    run, split, recipe = data.run, data.split, data.run.recipe
    groups = [row.memory(run, split) for row in recipe.features]
    sessions = 16.0 * (count_rows(paths.events(run, split)) + data.n_sessions)
    most = queries_per_batch(run, split)
    rows = min(ROWS_PER_BATCH, most * candidates_per_query(run, split))
    if recipe.given:  # lists differ in length, also from neighbour to neighbour
        offsets = given_offsets(data)
        ends = offsets[np.minimum(np.arange(most, offsets.size + most), offsets.size - 1)]
        longest = np.diff(offsets).max(initial=0)
        rows = float(max(longest, min(ROWS_PER_BATCH, (ends - offsets).max(initial=0))))
    cells = rows * len(FeatureTable(recipe).names)
    in_shard = max(shard.end - shard.first for shard in shards(run, split))
    listed = in_shard * sum(row.length for row in recipe.retrievers)
    pool = 12 * in_shard * candidates_per_query(run, split)
    at_once = max(BYTES_WHILE_READ * listed, BYTES_HELD * listed + pool + 12 * cells)
    memory = sessions + sum(group.held for group in groups) + at_once + held
    run.budget.claim(f"{split} {step}", memory, written + sum(group.mapped for group in groups))
