"""Write the lists of retrievers, a folder each, and read those of a shard side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import polars as pl

from src.candidates.base import Retriever
from src.core.arrays import F32, I32, I64, arrays
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
    shards,
)
from src.data.split_data import SplitData

FEWEST = 100  # queries whose lists are made at a time where memory is short
BYTES_ON_DISK = 2.5  # of a listed item, about
ROW = 13 + 4 + 4  # bytes of an item in CANDIDATES, and of its list as arrays beside it


class CandidateLists(NamedTuple):
    """Lists of some retrievers for the queries of a shard, as CSR by query.

    Of a query: the list of the first retriever, then that of the next, ... each by rank.
    """

    offsets: I64
    retriever: np.ndarray  # uint16: number among those that were read
    rank: np.ndarray  # uint8, from 0
    item: I32
    score: F32


def retrievers_of_step(run: Run, embeddings: bool) -> list[Retriever]:
    """The retrievers that read embeddings (step 4), or the others (step 3)."""
    return [
        row
        for row in run.recipe.retrievers
        if any(paths.is_embedding(run, table) for table in row.tables) == embeddings
    ]


def candidate_folder(row: Retriever) -> str:
    """Folder, in that of a split, of a retriever's lists."""
    return f"candidates/{row.name}"


def write_candidates(data: SplitData, row: Retriever) -> dict[str, int]:
    """Write the lists of one retriever for all queries; summary of the shards."""
    run, split = data.run, data.split
    folder, inputs = run.output / split / candidate_folder(row), row.inputs(run, split)
    run.require(inputs)
    retrieving = Lock()  # kernels use all cores; a file is written beside the next shard
    room = 0  # queries at a time, known once there is work to do

    def build(shard: Shard) -> bool:
        def make(path: Path) -> None:
            nonlocal room
            with retrieving:
                room = room or _claim(data, row)
                some = batches(shard.first, shard.end, room)
                tables = [to_frame(row.lists(data, *batch), batch[0]) for batch in some]
                lists = pl.concat(tables, rechunk=True)
            with TableWriter(path, CANDIDATES) as writer:
                writer.add(lists)

        key = (shard.first, shard.end, row)
        return run.build(shard_file(folder, shard), make, key, inputs)

    built = in_turn(build, run.progress(shards(run, split), f"{split} {row.name}"))
    summary = count_built(built)
    data.drop_unused()
    return summary


def to_frame(lists: TopLists, first: int) -> pl.DataFrame:
    """CANDIDATES of top lists (queries, top); `first` is the session of the first query."""
    item, score = lists
    listed = item >= 0
    query, rank = np.nonzero(listed)
    columns = {
        "session": (query + first).astype(np.int32), "rank": rank.astype(np.uint8),
        "item": item[listed], "score": score[listed],
    }  # fmt: skip
    return pl.DataFrame(columns, schema=CANDIDATES)


def _claim(data: SplitData, row: Retriever) -> int:
    """Claim what making the lists takes; how many queries fit into the memory allowed at a time."""
    run, split, width = data.run, data.split, row.length
    events = count_rows(paths.events(run, split))
    fixed = 17 * events + 8 * data.n_sessions + row.memory(run, split)
    fixed += SHARDS_IN_MEMORY * ROW * width * min(QUERIES_PER_SHARD, data.n_queries)
    per_query = 3 * ROW * width
    disk = BYTES_ON_DISK * width * missing_queries(run, split, candidate_folder(row))
    run.budget.claim(f"{split} {row.name}", fixed + FEWEST * per_query, disk)
    room = (run.budget.memory - fixed) // per_query
    return int(max(FEWEST, min(QUERIES_PER_SHARD, room)))


def candidate_files(run: Run, split: str, rows: Sequence[Retriever]) -> list[Path]:
    """The files of all lists of some retrievers."""
    known = shards(run, split)
    return [_file(run, split, row, shard) for row in rows for shard in known]


def shard_candidates(run: Run, split: str, rows: Sequence[Retriever], shard: Shard) -> list[Path]:
    """The files of one shard's lists of some retrievers."""
    return [_file(run, split, row, shard) for row in rows]


def _file(run: Run, split: str, row: Retriever, shard: Shard) -> Path:
    return shard_file(run.output / split / candidate_folder(row), shard)


def read_candidates(files: Sequence[Path], shard: Shard) -> CandidateLists:
    """Read the lists of a shard; a retriever's number is the place of its file."""
    n = shard.end - shard.first
    tables = [arrays(pl.read_parquet(file), *CANDIDATES.names()) for file in files]
    borders = np.arange(shard.first, shard.end + 1)
    each = [np.searchsorted(table[0], borders) for table in tables]
    offsets = np.zeros(n + 1, np.int64)
    for own in each:
        offsets += own
    size = int(offsets[-1])
    lists = CandidateLists(
        offsets, np.empty(size, np.uint16), np.empty(size, np.uint8), np.empty(size, np.int32),
        np.empty(size, np.float32),
    )  # fmt: skip
    at = offsets[:-1].copy()  # where the next list of each query begins
    for number, (own, (_, rank, item, score)) in enumerate(zip(each, tables, strict=True)):
        length = np.diff(own)
        rows = np.repeat(at - own[:-1], length) + np.arange(rank.size)
        lists.retriever[rows] = number
        lists.rank[rows], lists.item[rows], lists.score[rows] = rank, item, score
        at += length
    return lists
