# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Reads and writes whose rate `bench.machine` takes.

Places come from a hash of a counter (splitmix64): no memory traffic, and none waits for another.
"""

import numpy as np
from numba import njit, prange


@njit(inline="always")
def _place(i, shift):
    """A place among 2 ** (64 - shift) words."""
    z = np.uint64(i) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB) >> shift


@njit(parallel=True)
def stream(words, threads):
    total = np.zeros((threads, 8), np.uint64)  # a cache line a thread
    part = words.size // threads
    for t in prange(threads):
        total[t, 0] = words[t * part : (t + 1) * part].sum()
    return total.sum()


@njit(parallel=True)
def gather(words, threads, times, shift):
    total = np.zeros((threads, 8), np.uint64)
    part = times // threads
    for t in prange(threads):
        found = np.uint64(0)
        for i in range(t * part, (t + 1) * part):
            found += words[_place(i, shift)]
        total[t, 0] = found
    return total.sum()


@njit(parallel=True)
def add(accumulators, threads, times, shift):
    part = times // threads
    for t in prange(threads):
        own = accumulators[t]
        for i in range(t * part, (t + 1) * part):
            own[_place(i, shift)] += np.uint64(1)
