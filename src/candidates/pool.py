"""Make the pool, the candidates that rankers score: merged lists of all retrievers, or given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from src.candidates import pool_kernel
from src.candidates.base import Retriever
from src.candidates.lists import CandidateLists, read_candidates, shard_candidates
from src.core.arrays import F32, I32, I64, arrays, offsets_of_ids, offsets_of_sizes
from src.core.parquet import count_rows
from src.core.run import Run, count_built
from src.data import paths
from src.data.given import read_given
from src.data.shards import (
    QUERIES_PER_SHARD,
    Shard,
    missing_queries,
    shard_file,
    shard_files,
    shards,
)
from src.data.split_data import SplitData
from src.data.splits import split_named

MERGED = "pool"  # folder of the whole pool
BYTES_ON_DISK = 0.6  # per number of a pool, about


@dataclass(frozen=True)
class Pool:
    """Candidates of queries first : end as CSR, highest RRF score first.

    Given candidates are in the order of their items; their RRF score is 0, and they have no ranks.
    ranks (candidates, retrievers): uint16, ABSENT where a retriever did not list the candidate.
    scores (candidates, retrievers): float32, 0 there.
    """

    first: int
    offsets: I64
    item: I32
    rrf_score: F32
    ranks: np.ndarray
    scores: F32

    @property
    def n_queries(self) -> int:
        return self.offsets.size - 1

    @property
    def end(self) -> int:
        """Dense session after the last query."""
        return self.first + self.n_queries

    @property
    def session(self) -> I32:
        """Dense session of each candidate."""
        sessions = np.arange(self.first, self.end, dtype=np.int32)
        return np.repeat(sessions, np.diff(self.offsets))

    def to_frame(self, names: list[str]) -> pl.DataFrame:
        """Convert to a row per candidate; names: those of the retrievers."""
        columns: dict[str, object] = {
            "session": self.session, "item": self.item, "rrf_score": self.rrf_score,
        }  # fmt: skip
        for r, name in enumerate(names):
            columns[f"rank_{name}"] = self.ranks[:, r]
            columns[f"score_{name}"] = self.scores[:, r]
        return pl.DataFrame(columns)

    @classmethod
    def load(cls, run: Run, split: str, shard: Shard) -> Pool:
        """Read the pool of a shard."""
        names = [row.name for row in run.recipe.retrievers]
        frame = pl.read_parquet(pool_file(run, split, shard))
        session, item, rrf_score = arrays(frame, "session", "item", "rrf_score")
        offsets = offsets_of_ids(session, shard.first, shard.end)
        if not names:
            return cls.without_lists(shard.first, offsets, item)
        ranks = frame.select(f"rank_{name}" for name in names).to_numpy(order="c")
        scores = frame.select(f"score_{name}" for name in names).to_numpy(order="c")
        return cls(shard.first, offsets, item, rrf_score, ranks, scores)

    @classmethod
    def without_lists(cls, first: int, offsets: I64, item: I32) -> Pool:
        """Make a pool of candidates that no retriever has proposed."""
        nothing = np.empty((item.size, 0), np.float32)
        score = np.zeros(item.size, np.float32)
        return cls(first, offsets, item, score, nothing.astype(np.uint16), nothing)

    def batch(self, first: int, end: int) -> Pool:
        """Return queries first : end, counted from the first query of the pool."""
        a, b = self.offsets[first], self.offsets[end]
        return Pool(
            self.first + first, self.offsets[first : end + 1] - a, self.item[a:b],
            self.rrf_score[a:b], self.ranks[a:b], self.scores[a:b],
        )  # fmt: skip

    def keep_rows(self, mask: np.ndarray) -> Pool:
        """Remove the candidates that are not in the mask: bool (candidates)."""
        offsets = offsets_of_sizes(mask)[self.offsets]
        return Pool(
            self.first, offsets, self.item[mask], self.rrf_score[mask], self.ranks[mask],
            self.scores[mask],
        )  # fmt: skip

    def keep(self, mask: np.ndarray) -> Pool:
        """Remove the candidates of queries that are not in the mask: bool (queries)."""
        return self.keep_rows(np.repeat(mask, np.diff(self.offsets)))


def pool_folder(run: Run) -> str:
    """Return the folder, within a split, of the candidates that rankers score."""
    return "preranked" if run.recipe.preranker else MERGED


def pool_file(run: Run, split: str, shard: Shard) -> Path:
    """Return the file of the candidates that rankers score: what the pre-ranker kept, if any."""
    return shard_file(run.output / split / pool_folder(run), shard)


def pool_files(run: Run, split: str) -> list[Path]:
    """List the files of `pool_file` of all shards."""
    return shard_files(run, split, pool_folder(run))


def candidates_per_query(run: Run, split: str) -> float:
    """Estimate the candidates of a query that rankers score: at most so many, or given on average.

    Needs no pool, only what step 1 has written.
    """
    recipe = run.recipe
    size = float(recipe.pool_size)
    if recipe.given:
        size = count_rows(paths.given(run, split)) / max(split_named(run, split).queries, 1)
    return min(size, recipe.preranker.keep) if recipe.preranker else size


class TopCandidates(NamedTuple):
    """Candidates of queries as CSR, highest RRF score first."""

    offsets: I64
    item: I32
    rrf_score: F32


def top_candidates(lists: CandidateLists, size: int) -> TopCandidates:
    """Select the `size` items of each query with the highest RRF score; ties by item."""
    item, rrf_score = pool_kernel.rrf(lists.offsets, lists.rank, lists.item, size)
    listed = item >= 0
    return TopCandidates(offsets_of_sizes(listed.sum(axis=1)), item[listed], rrf_score[listed])


def merge(lists: CandidateLists, n_retrievers: int, first: int, size: int) -> Pool:
    """Merge the lists of queries from session `first` on into a pool of `size` candidates each."""
    top = top_candidates(lists, size)
    ranks = np.full((top.item.size, n_retrievers), pool_kernel.ABSENT, np.uint16)
    scores = np.zeros((top.item.size, n_retrievers), np.float32)
    pool_kernel.attach_ranks(*lists, top.offsets, top.item, ranks, scores)
    return Pool(first, *top, ranks, scores)


def given_pool(data: SplitData, shard: Shard) -> Pool:
    """Make the pool of the given candidates of a shard."""
    frame = read_given(data, shard.first, shard.end)
    session, item = arrays(frame, "session", "item")
    return Pool.without_lists(shard.first, offsets_of_ids(session, shard.first, shard.end), item)


def write_pool(data: SplitData) -> dict[str, int]:
    """Bring the pool of a split up to date; summarise the shards."""
    run, split, recipe = data.run, data.split, data.run.recipe
    rows, claimed = recipe.retrievers, False

    def build(shard: Shard) -> bool:
        files = [paths.given(run, split)] if recipe.given else []
        files += shard_candidates(run, split, rows, shard)

        def make(path: Path) -> None:
            nonlocal claimed
            claimed = claimed or _claim(data, rows)
            if recipe.given:
                pool = given_pool(data, shard)
            else:
                lists = read_candidates(files, shard)
                pool = merge(lists, len(rows), shard.first, recipe.pool_size)
            pool.to_frame([row.name for row in rows]).write_parquet(path)

        key = (shard.first, shard.end, [row.name for row in rows], recipe.pool_size)
        return run.build(shard_file(run.output / split / MERGED, shard), make, key, files)

    return count_built(map(build, run.progress(shards(run, split), f"{split} pool")))


def _claim(data: SplitData, rows: tuple[Retriever, ...]) -> bool:
    """Claim memory for merging a shard, and disk for all missing shards; return True."""
    run = data.run
    numbers = candidates_per_query(run, data.split) * (2 * len(rows) + 3)
    listed = sum(row.length for row in rows)
    memory = min(QUERIES_PER_SHARD, data.n_queries) * (40 * listed + 6 * numbers)
    missing = missing_queries(run, data.split, MERGED)
    run.budget.claim(f"{data.split} pool", memory, BYTES_ON_DISK * numbers * missing)
    return True
