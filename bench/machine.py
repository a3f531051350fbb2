"""Measure the memory of this machine: an upper bound for the speed of the kernels.

    python -m bench.machine

Measured with one thread and with all, best of three: GB/s of a sum over 1 GiB; random 8-byte reads
per second from 1 GiB and from 32 MiB; random adds of 8 bytes per second to 32 MiB. Each thread adds
to its own accumulator, as in the matrix kernel. Addresses are hashes of a counter (splitmix64), so
they need no memory traffic, and no read waits for another. Prints a table, appends it to
bench/RESULTS.md, and a line to bench/results.jsonl.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numba import get_num_threads, set_num_threads
from numpy.typing import NDArray

from bench import measure
from bench.machine_kernel import add, gather, stream

LARGE, SMALL = 2**30, 32 * 2**20  # bytes; powers of two, as `shift_of` needs
TIMES = 1 << 27  # random accesses of one measurement
HEAD = ("measured", "unit", "1 thread", "all threads")


def best(work: Callable[[int], object], threads: int) -> float:
    """Measure the seconds of the fastest of three runs, after one that compiles and warms up."""
    set_num_threads(threads)
    seconds = []
    for _ in range(4):
        start = perf_counter()
        work(threads)
        seconds.append(perf_counter() - start)
    return min(seconds[1:])


def shift_of(size: int) -> np.uint64:
    """Shift that leaves, of a 64-bit hash, a word number in an array of `size` bytes."""
    return np.uint64(64 - (size // 8).bit_length() + 1)


class Rate(NamedTuple):
    """A measured rate."""

    name: str
    unit: str
    one_thread: float
    all_threads: float


def measured() -> list[Rate]:
    """Measure all rates."""
    threads = get_num_threads()
    large, small = (np.arange(size // 8, dtype=np.uint64) for size in (LARGE, SMALL))
    accumulators: NDArray[np.uint64] = np.ones((threads, SMALL // 8), np.uint64)
    works: list[tuple[str, str, float, Callable[[int], object]]] = [
        ("streaming read, 1 GiB", "GB/s", LARGE / 1e9, lambda n: stream(large, n)),
        ("random reads of 8 bytes, 1 GiB", "M/s", TIMES / 1e6,
         lambda n: gather(large, n, TIMES, shift_of(LARGE))),
        ("random reads of 8 bytes, 32 MiB", "M/s", TIMES / 1e6,
         lambda n: gather(small, n, TIMES, shift_of(SMALL))),
        ("random adds, 32 MiB a thread", "M/s", TIMES / 1e6,
         lambda n: add(accumulators, n, TIMES, shift_of(SMALL))),
    ]  # fmt: skip
    return [
        Rate(name, unit, amount / best(work, 1), amount / best(work, threads))
        for name, unit, amount, work in works
    ]


def main(argv: list[str]) -> int:
    """Measure, print, append."""
    origin = measure.origin(argv, "bench.machine")
    rates = measured()
    rows = [(r.name, r.unit, f"{r.one_thread:,.1f}", f"{r.all_threads:,.1f}") for r in rates]
    measure.append_table(measure.title(origin, f"{get_num_threads()} threads"),
                         measure.table(HEAD, rows))  # fmt: skip
    values = {r.name: {"unit": r.unit, "one": r.one_thread, "all": r.all_threads} for r in rates}
    measure.append_line({**origin, "kind": "machine", "values": values})
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
