"""Make the pool, the candidates that rankers score: merged lists of all retrievers, or given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from src.candidates import pool_kernel
from src.candidates.base import Retriever
from src.candidates.lists import (
    BYTES_WHILE_READ,
    CandidateLists,
    read_candidates,
    shard_candidates,
)
from src.core import store
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
BYTES_ON_DISK = 7  # per candidate of a pool, about


class PoolItems(NamedTuple):
    """Items of the pools of queries as CSR, with their RRF scores, in the order of the pool."""

    offsets: I64
    item: I32
    rrf_score: F32

    def to_frame(self, first: int) -> pl.DataFrame:
        """Convert to a row per candidate, as files have it; `first`: session of the first query."""
        sessions = np.arange(first, first + self.offsets.size - 1, dtype=np.int32)
        session = np.repeat(sessions, np.diff(self.offsets))
        columns = {"session": session, "item": self.item, "rrf_score": self.rrf_score}
        return pl.DataFrame(columns)


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

    def to_frame(self) -> pl.DataFrame:
        """Convert to a row per candidate, as files have it: without ranks and scores."""
        return PoolItems(self.offsets, self.item, self.rrf_score).to_frame(self.first)

    @classmethod
    def without_lists(cls, first: int, offsets: I64, item: I32) -> Pool:
        """Make a pool of candidates that no retriever has proposed."""
        nothing = np.empty((item.size, 0), np.float32)
        score = np.zeros(item.size, np.float32)
        return cls(first, offsets, item, score, nothing.astype(np.uint16), nothing)

    @classmethod
    def with_ranks(
        cls, first: int, items: PoolItems, lists: CandidateLists, n_retrievers: int
    ) -> Pool:
        """Look up the ranks and scores of the items of queries from session `first` on."""
        ranks = np.full((items.item.size, n_retrievers), pool_kernel.ABSENT, np.uint16)
        scores = np.zeros((items.item.size, n_retrievers), np.float32)
        pool_kernel.attach_ranks(*lists, items.offsets, items.item, ranks, scores)
        return cls(first, *items, ranks, scores)

    @classmethod
    def load(cls, run: Run, split: str, shard: Shard) -> Pool:
        """Read the pool of a shard."""
        return StoredPool.read(run, split, shard).batch(0, shard.end - shard.first)

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


@dataclass(frozen=True)
class StoredPool:
    """The file of a shard's pool, and the lists where ranks and scores are looked up."""

    first: int
    items: PoolItems
    lists: CandidateLists
    n_retrievers: int

    @classmethod
    def read(cls, run: Run, split: str, shard: Shard) -> StoredPool:
        """Read the pool of a shard; raise ValueError where lists are not those of the pool."""
        file, *lists = files_of_pool(run, split, shard)
        made_from = store.inputs(file) if lists else {}
        for path in lists:
            if made_from.get(str(path.relative_to(run.output))) != run.fingerprint(path):
                raise ValueError(f"{file} is older than {path}; run the steps from 4 on")
        session, item, rrf_score = arrays(pl.read_parquet(file), "session", "item", "rrf_score")
        items = PoolItems(offsets_of_ids(session, shard.first, shard.end), item, rrf_score)
        return cls(shard.first, items, read_candidates(lists, shard), len(lists))

    def batch(self, first: int, end: int) -> Pool:
        """Return the pool of queries first : end, counted from the first query of the shard."""
        offsets, item, rrf_score = self.items
        rows = slice(offsets[first], offsets[end])
        offsets = offsets[first : end + 1] - offsets[first]
        items, lists = PoolItems(offsets, item[rows], rrf_score[rows]), self.lists.batch(first, end)
        return Pool.with_ranks(self.first + first, items, lists, self.n_retrievers)


def pool_folder(run: Run) -> str:
    """Return the folder, within a split, of the candidates that rankers score."""
    return "preranked" if run.recipe.preranker else MERGED


def pool_file(run: Run, split: str, shard: Shard) -> Path:
    """Return the file of the candidates that rankers score: what the pre-ranker kept, if any."""
    return shard_file(run.output / split / pool_folder(run), shard)


def pool_files(run: Run, split: str) -> list[Path]:
    """List the files of `pool_file` of all shards."""
    return shard_files(run, split, pool_folder(run))


def files_of_pool(run: Run, split: str, shard: Shard) -> list[Path]:
    """List the files that a pool is read from: its own, and the lists of all retrievers."""
    lists = shard_candidates(run, split, run.recipe.retrievers, shard)
    return [pool_file(run, split, shard), *lists]


def candidates_per_query(run: Run, split: str) -> float:
    """Estimate the candidates of a query that rankers score: at most so many, or given on average.

    Needs no pool, only what step 1 has written.
    """
    recipe = run.recipe
    size = float(recipe.pool_size)
    if recipe.given:
        size = count_rows(paths.given(run, split)) / max(split_named(run, split).queries, 1)
    return min(size, recipe.preranker.keep) if recipe.preranker else size


def top_candidates(lists: CandidateLists, size: int) -> PoolItems:
    """Select the `size` items of each query with the highest RRF score; ties by item."""
    item, rrf_score = pool_kernel.rrf(lists.offsets, lists.rank, lists.item, size)
    listed = item >= 0
    return PoolItems(offsets_of_sizes(listed.sum(axis=1)), item[listed], rrf_score[listed])


def merge(lists: CandidateLists, n_retrievers: int, first: int, size: int) -> Pool:
    """Merge the lists of queries from session `first` on into a pool of `size` candidates each."""
    return Pool.with_ranks(first, top_candidates(lists, size), lists, n_retrievers)


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
                table = given_pool(data, shard).to_frame()
            else:
                lists = read_candidates(files, shard)
                table = top_candidates(lists, recipe.pool_size).to_frame(shard.first)
            table.write_parquet(path)

        key = (shard.first, shard.end, [row.name for row in rows], recipe.pool_size)
        return run.build(shard_file(run.output / split / MERGED, shard), make, key, files)

    return count_built(map(build, run.progress(shards(run, split), f"{split} pool")))


def _claim(data: SplitData, rows: tuple[Retriever, ...]) -> bool:
    """Claim memory for merging a shard, and disk for all missing shards; return True."""
    run = data.run
    candidates = candidates_per_query(run, data.split)
    listed = sum(row.length for row in rows)
    memory = min(QUERIES_PER_SHARD, data.n_queries) * (BYTES_WHILE_READ * listed + 24 * candidates)
    missing = missing_queries(run, data.split, MERGED)
    run.budget.claim(f"{data.split} pool", memory, BYTES_ON_DISK * candidates * missing)
    return True
