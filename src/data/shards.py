"""Cut the queries of a split into shards: a shard is a file in a folder of candidates or scores."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from src.core.parquet import count_rows
from src.core.run import Run
from src.data import paths
from src.data.splits import split_named

QUERIES_PER_SHARD = 20_000  # a kill loses the work on a few shards
GIVEN_QUERIES_PER_SHARD = 2_000  # with given candidates: rankers may learn from all of them
LONE_QUERIES_PER_SHARD = 75_000  # where each query has one given candidate
SHARDS_IN_MEMORY = 2  # one is read or written while the kernels work on the other

T = TypeVar("T")
U = TypeVar("U")


class Shard(NamedTuple):
    """Queries first : end (dense sessions) of a split."""

    number: int
    first: int
    end: int


def shards(run: Run, split: str) -> list[Shard]:
    """List the shards of a split, in the order of its queries."""
    sizes = split_named(run, split)
    size = QUERIES_PER_SHARD
    if run.recipe.given:
        lone = count_rows(paths.given(run, split)) <= sizes.queries
        size = LONE_QUERIES_PER_SHARD if lone else GIVEN_QUERIES_PER_SHARD
    ranges = batches(sizes.first_query, sizes.sessions, size)
    return [Shard(number, first, end) for number, (first, end) in enumerate(ranges)]


def shard_file(folder: Path, shard: Shard) -> Path:
    return folder / f"part-{shard.number:04}.parquet"


def shard_files(run: Run, split: str, folder: str) -> list[Path]:
    """List the files of all shards of a split in one of its folders.

    A glob would also find files of an earlier run with more shards.
    """
    return [shard_file(run.output / split / folder, shard) for shard in shards(run, split)]


def missing_queries(run: Run, split: str, folder: str) -> int:
    """Count the queries whose shards are not in the folder yet, to estimate the disk they need."""
    path = run.output / split / folder
    missing = [s for s in shards(run, split) if run.fingerprint(shard_file(path, s)) is None]
    return sum(shard.end - shard.first for shard in missing)


def in_turn(
    make: Callable[[U], T], todo: Iterable[U], at_a_time: int = SHARDS_IN_MEMORY
) -> Iterator[T]:
    """Yield make(shard) in the order of the shards; work on a few of them at a time."""
    with ThreadPoolExecutor(at_a_time) as threads:
        started: deque[Future[T]] = deque()
        for shard in todo:
            started.append(threads.submit(make, shard))
            if len(started) == at_a_time:
                yield started.popleft().result()
        yield from (future.result() for future in started)


def batches(first: int, end: int, size: int) -> list[tuple[int, int]]:
    """Cut first : end into ranges of at most `size`, for work in batches."""
    return [(a, min(a + size, end)) for a in range(first, end, size)]
