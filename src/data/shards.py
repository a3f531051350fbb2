"""Shards of a split: its queries in blocks, each a parquet file in a folder of the split."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from src.core.run import Run
from src.data.splits import split_named

QUERIES = 20_000  # of a shard: what a kill loses
AT_A_TIME = 2  # shards: one is written or read while the kernels work on the other

T = TypeVar("T")


class Shard(NamedTuple):
    """Queries first : end (dense sessions) of a split."""

    number: int
    first: int
    end: int


def shards(run: Run, split: str) -> list[Shard]:
    """The shards of a split, in the order of its queries."""
    known = split_named(run, split)
    blocks = batches(known.first_query, known.sessions, QUERIES)
    return [Shard(number, first, end) for number, (first, end) in enumerate(blocks)]


def shard_file(folder: Path, shard: Shard) -> Path:
    return folder / f"part-{shard.number:04}.parquet"


def shard_files(run: Run, split: str, folder: str) -> list[Path]:
    """Files of all shards of a split: never a glob, which would find a former run's too."""
    return [shard_file(run.output / split / folder, shard) for shard in shards(run, split)]


def missing_queries(run: Run, split: str, folder: str) -> int:
    """Queries whose shard is not there: what will still be written is in proportion."""
    place = run.output / split / folder
    missing = [s for s in shards(run, split) if run.fingerprint(shard_file(place, s)) is None]
    return sum(shard.end - shard.first for shard in missing)


def in_turn(make: Callable[[Shard], T], todo: Iterable[Shard]) -> Iterator[T]:
    """Yield results of `make` in order; the next one is begun before one is given out."""
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        begun: deque[Future[T]] = deque()
        for shard in todo:
            begun.append(threads.submit(make, shard))
            if len(begun) == AT_A_TIME:
                yield begun.popleft().result()
        yield from (future.result() for future in begun)


def batches(first: int, end: int, size: int) -> list[tuple[int, int]]:
    """Cut first : end into batches of at most `size`: what is in memory at a time."""
    return [(a, min(a + size, end)) for a in range(first, end, size)]
