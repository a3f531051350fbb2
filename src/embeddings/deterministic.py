"""Make torch deterministic while an embedding is trained."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

S = TypeVar("S")
T = TypeVar("T")


@contextmanager
def deterministic_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool while torch is deterministic and uses one thread per operation.

    So what is trained does not depend on the number of threads of the machine.
    """
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # needed on a GPU
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(deterministic)


def made_ahead(
    pool: ThreadPoolExecutor, make: Callable[[S], T], sources: Iterable[S]
) -> Iterator[T]:
    """Yield make(source) of each source, in order; a thread makes the next one meanwhile.

    One is made at a time, as `make` may draw from a generator of random numbers.
    """
    waiting: Future[T] | None = None
    for source in sources:
        made = [] if waiting is None else [waiting.result()]
        waiting = pool.submit(make, source)
        yield from made
    if waiting is not None:
        yield waiting.result()
