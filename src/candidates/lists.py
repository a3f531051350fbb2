"""Write the lists of retrievers, a folder each; read those of a shard together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import polars as pl

from src.candidates.base import Retriever
from src.candidates.unseen import excludes_seen, longest, unseen_lists
from src.core.arrays import F32, I32, I64, arrays, offsets_of_ids, offsets_of_sizes, positions
from src.core.parquet import TableWriter, count_rows
from src.core.run import Run, count_built
from src.data import paths
from src.data.schemas import CANDIDATES, TopLists
from src.data.shards import (
    QUERIES_PER_SHARD,
    SHARDS_IN_MEMORY,
    Shard,
    batches,
    in_turn,
    missing_queries,
    shard_file,
    shard_files,
    shards,
)
from src.data.split_data import SplitData

MIN_QUERIES = 100  # whose lists are made at a time, even if memory is short
BYTES_ON_DISK = 2.5  # per place of a list, about: some lists are short
BYTES = 14 + 8  # per candidate: a row of CANDIDATES, and item and score in arrays
BYTES_WHILE_READ = 28  # per candidate, about, while the lists of a shard are read
BYTES_HELD = 12  # per candidate of CandidateLists


class CandidateLists(NamedTuple):
    """Lists of several retrievers for the queries of a shard, as CSR by query.

    The candidates of a query are sorted by retriever and rank.
    """

    offsets: I64
    retriever: np.ndarray  # uint16: number of the retriever
    rank: np.ndarray  # uint16, from 0
    item: I32
    score: F32

    def batch(self, first: int, end: int) -> CandidateLists:
        """Return the lists of queries first : end, counted from the first query."""
        rows = slice(self.offsets[first], self.offsets[end])
        return CandidateLists(
            self.offsets[first : end + 1] - self.offsets[first], self.retriever[rows],
            self.rank[rows], self.item[rows], self.score[rows],
        )  # fmt: skip


def retrievers_of_step(run: Run, embeddings: bool) -> list[Retriever]:
    """Select the retrievers that read embeddings (step 4), or all others (step 3)."""
    return [row for row in run.recipe.retrievers if reads_embedding(run, row) == embeddings]


def reads_embedding(run: Run, row: Retriever) -> bool:
    """Whether one of the retriever's tables is an embedding."""
    return any(paths.is_embedding(run, table) for table in row.tables)


def candidate_folder(row: Retriever) -> str:
    """Return the folder of a retriever's lists inside that of a split."""
    return f"candidates/{row.name}"


def write_candidates(data: SplitData, row: Retriever) -> dict[str, int]:
    """Bring the lists of one retriever for all queries up to date; summarise the shards.

    Retrievers that read no embedding run in the way of the engine, if it has its own.
    """
    run, split = data.run, data.split
    folder, inputs = run.output / split / candidate_folder(row), row.inputs(run, split)
    run.require(inputs)
    own = None if reads_embedding(run, row) else run.engine.twin(__name__)
    write = shard_writer(data, row) if own is None else own.shard_writer(data, row)
    at_a_time = SHARDS_IN_MEMORY if own is None else own.shards_at_a_time(run)
    excluded = ("unseen",) if excludes_seen(run.recipe, row) else ()

    def build(shard: Shard) -> bool:
        key = (shard.first, shard.end, row, *excluded)
        make, code = partial(write, shard), own and own.shard_writer
        return run.build(shard_file(folder, shard), make, key, inputs, code)

    built = in_turn(build, run.progress(shards(run, split), f"{split} {row.name}"), at_a_time)
    summary = count_built(built)
    data.drop_unused()
    return summary


def shard_writer(data: SplitData, row: Retriever) -> Callable[[Shard, Path], None]:
    """Return the function that writes the lists of a shard; threads may call it."""
    retrieving = Lock()  # kernels use all cores; only the writing of a shard runs in parallel
    batch_size = 0  # queries; claimed when the first shard is made
    lists_of = lists_function(data.run, row)

    def write(shard: Shard, path: Path) -> None:
        nonlocal batch_size
        with retrieving:
            if not batch_size:
                missing = missing_queries(data.run, data.split, candidate_folder(row))
                batch_size = claim(data, row, missing)
            ranges = batches(shard.first, shard.end, batch_size)
            tables = [to_frame(lists_of(data, first, end), first) for first, end in ranges]
            lists = pl.concat(tables, rechunk=True)
        with TableWriter(path, CANDIDATES) as writer:
            writer.add(lists)

    return write


def to_frame(lists: TopLists, first: int) -> pl.DataFrame:
    """Convert lists (queries, top) to CANDIDATES; `first` is the session of the first query."""
    item, score = lists
    listed = item >= 0
    query, rank = np.nonzero(listed)
    columns = {
        "session": (query + first).astype(np.int32), "rank": rank.astype(np.uint16),
        "item": item[listed], "score": score[listed],
    }  # fmt: skip
    return pl.DataFrame(columns, schema=CANDIDATES)


def lists_function(run: Run, row: Retriever) -> Callable[[SplitData, int, int], TopLists]:
    """Return the function that lists candidates: without seen items, if recipe or row say so.

    Their scores are rounded to 16 of 24 bits, as the rest only takes disk.
    """
    of_row = partial(unseen_lists, row) if excludes_seen(run.recipe, row) else row.lists

    def lists(data: SplitData, first: int, end: int) -> TopLists:
        item, score = of_row(data, first, end)
        return item, rounded(score)

    return lists


def rounded(score: F32) -> F32:
    """Round to 16 significant bits: normal numbers by 2^-16 at most, halves away from 0."""
    bits = np.ascontiguousarray(score, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x80)) & np.uint32(0xFFFFFF00)).view(np.float32)


def claim(data: SplitData, row: Retriever, written: int) -> int:
    """Claim memory for lists, and disk for those of the queries that are written.

    Returns how many queries fit into memory at a time.
    """
    run, split, width = data.run, data.split, row.length
    excluded = 0
    if excludes_seen(run.recipe, row):
        excluded = longest(data.sessions, data.first_query, data.n_sessions)
    events = count_rows(paths.events(run, split))
    fixed = 17 * events + 8 * data.n_sessions + row.memory(run, split)
    fixed += SHARDS_IN_MEMORY * BYTES * width * min(QUERIES_PER_SHARD, data.n_queries)
    per_query = 3 * BYTES * (width + excluded)
    disk = BYTES_ON_DISK * width * written
    run.budget.claim(f"{split} {row.name}", fixed + MIN_QUERIES * per_query, disk)
    batch_size = (run.budget.memory - fixed) // per_query
    return int(max(MIN_QUERIES, min(QUERIES_PER_SHARD, batch_size)))


def candidate_files(run: Run, split: str, rows: Sequence[Retriever]) -> list[Path]:
    """List the files of all lists of some retrievers."""
    return [file for row in rows for file in shard_files(run, split, candidate_folder(row))]


def shard_candidates(run: Run, split: str, rows: Sequence[Retriever], shard: Shard) -> list[Path]:
    """List the files of one shard's lists of some retrievers."""
    return [shard_file(run.output / split / candidate_folder(row), shard) for row in rows]


def read_candidates(files: Sequence[Path], shard: Shard) -> CandidateLists:
    """Read the lists of a shard from one file per retriever; their order numbers the retrievers."""
    tables = [arrays(pl.read_parquet(file), *CANDIDATES.names()) for file in files]
    table_offsets = [offsets_of_ids(table[0], shard.first, shard.end) for table in tables]
    offsets = np.zeros(shard.end - shard.first + 1, np.int64)
    for of_table in table_offsets:
        offsets += of_table
    size = int(offsets[-1])
    lists = CandidateLists(
        offsets, np.empty(size, np.uint16), np.empty(size, np.uint16), np.empty(size, np.int32),
        np.empty(size, np.float32),
    )  # fmt: skip
    cursor = offsets[:-1].copy()  # where the next list of each query begins
    for number, (_, rank, item, score) in enumerate(tables):
        length = np.diff(table_offsets[number])
        rows = np.repeat(cursor - table_offsets[number][:-1], length) + np.arange(rank.size)
        lists.retriever[rows] = number
        lists.rank[rows], lists.item[rows], lists.score[rows] = rank, item, score
        cursor += length
    return lists


def lists_of_query(tables: Sequence[TopLists]) -> CandidateLists:
    """Join the lists of one query, one of each retriever in turn."""
    items, scores = ([table[part][0] for table in tables] for part in (0, 1))
    size = np.array([item.size for item in items], np.int64)
    item = np.concatenate(items)
    listed = item >= 0
    retriever = np.repeat(np.arange(size.size, dtype=np.uint16), size)[listed]
    rank = positions(offsets_of_sizes(size)).astype(np.uint16)[listed]
    offsets = np.array([0, retriever.size], np.int64)
    return CandidateLists(offsets, retriever, rank, item[listed], np.concatenate(scores)[listed])
