# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Read and write memory in the patterns that `bench.machine` measures."""

import numpy as np
from numba import njit, prange


@njit(inline="always")
def _word(i, shift):
    """Hash a counter to one of 2 ** (64 - shift) words."""
    z = np.uint64(i) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB) >> shift


@njit(parallel=True)
def stream(words, threads):
    """Sum all words in order."""
    total = np.zeros((threads, 8), np.uint64)  # a cache line a thread
    part = words.size // threads
    for t in prange(threads):
        total[t, 0] = words[t * part : (t + 1) * part].sum()
    return total.sum()


@njit(parallel=True)
def gather(words, threads, times, shift):
    """Sum `times` random words."""
    total = np.zeros((threads, 8), np.uint64)
    part = times // threads
    for t in prange(threads):
        part_sum = np.uint64(0)
        for i in range(t * part, (t + 1) * part):
            part_sum += words[_word(i, shift)]
        total[t, 0] = part_sum
    return total.sum()


@njit(parallel=True)
def add(accumulators, threads, times, shift):
    """Add 1 to `times` random words of each thread's own accumulator."""
    part = times // threads
    for t in prange(threads):
        own = accumulators[t]
        for i in range(t * part, (t + 1) * part):
            own[_word(i, shift)] += np.uint64(1)
