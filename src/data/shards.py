"""Shards of a split: its queries in blocks, a parquet file each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from src.candidates.rules import World
from src.core import store
from src.core.run import Run
from src.data import shards

BLOCK = 20_000  # queries of a part file: what a kill loses
AT_A_TIME = 2  # blocks: one is written or read while the kernels work on the other

T = TypeVar("T")
Part = tuple[int, int]
"""First and end session of a block."""


def load_split(run: Run, split: str) -> World:
    """A split's sessions and tables, read when needed."""
    return World(run.output, split, lambda name: run.table(split, name))


def parts(world: World) -> list[Part]:
    """The blocks of a split's queries."""
    return shards.blocks(world.first_query, world.n_sessions, BLOCK)


def part_path(folder: Path, world: World, part: Part) -> Path:
    return folder / f"part-{(part[0] - world.first_query) // BLOCK:04}.parquet"


def part_files(run: Run, split: str, folder: str) -> list[Path]:
    """The files of all blocks of a split: never a glob, which would find a former run's too."""
    world = load_split(run, split)
    return [part_path(run.output / split / folder, world, part) for part in parts(world)]


def to_make(run: Run, world: World, folder: str) -> int:
    """Queries of a split whose block is not there: what will still be written is in proportion."""
    place = run.output / world.split / folder
    missing = [p for p in parts(world) if store.fingerprint(part_path(place, world, p)) is None]
    return sum(end - first for first, end in missing)


def in_turn(make: Callable[[Part], T], todo: Iterable[Part]) -> Iterator[T]:
    """Results of `make`, in order; the next one is begun before one is given out."""
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        begun: deque[Future[T]] = deque()
        for part in todo:
            begun.append(threads.submit(make, part))
            if len(begun) == AT_A_TIME:
                yield begun.popleft().result()
        yield from (future.result() for future in begun)


def blocks(first: int, end: int, size: int) -> list[tuple[int, int]]:
    """Cut sessions first : end into stretches of at most `size`: what is in memory at a time."""
    return [(a, min(a + size, end)) for a in range(first, end, size)]
