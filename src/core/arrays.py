"""Define array types; build CSR offsets; count and hash ids."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


def offsets_of_ids(ids: I32, first: int, end: int) -> I64:
    """Compute CSR offsets of ids first : end in a sorted id column: int64 (end - first + 1)."""
    return np.searchsorted(ids, np.arange(first, end + 1)).astype(np.int64)


def offsets_of_sizes(sizes: NDArray) -> I64:
    """Compute CSR offsets of rows with these sizes: int64 (rows + 1)."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def read_only(array: NDArray) -> NDArray:
    """Return the array contiguous and read-only.

    Numba compiles a kernel for every layout and flag that it meets. One form compiles once.
    """
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


def positions(offsets: I64) -> I64:
    """Number the rows of each group from 0: int64 (rows). offsets: CSR of the groups."""
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def arrays(frame: pl.DataFrame, *names: str) -> list[NDArray]:
    """Return columns as contiguous, read-only arrays."""
    return [read_only(frame[name].to_numpy()) for name in names]


def hash_unit(ids: pl.Expr, seed: int) -> pl.Expr:
    """Hash integer ids to numbers in [0, 1) that depend on the id and the seed only.

    Integer arithmetic gives the same number on every engine and with every version of polars. The
    fifth power is a permutation modulo the prime. Without it, another seed would only shift the
    numbers.
    """
    prime = 2**31 - 1
    # multipliers of known generators modulo this prime: 48271 (MINSTD), 69621 (Fishman and Moore)
    mixed = ((ids.cast(pl.Int64) % prime + seed * 7919) % prime * 48271 + 11) % prime
    square = mixed * mixed % prime
    mixed = square * square % prime * mixed % prime
    return ((mixed * 69621 + 7) % prime).cast(pl.Float64) / prime


COUNT_BATCH = 2**24  # ids: bincount copies its input to int64


def count_items(item: I32, n_items: int) -> I64:
    """Count how often each item occurs, in batches: int64 (n_items)."""
    count = np.zeros(n_items, np.int64)
    for first in range(0, item.size, COUNT_BATCH):
        count += np.bincount(item[first : first + COUNT_BATCH], minlength=n_items)
    return count


def most_frequent(count: I64, max_items: int) -> I64:
    """Return the max_items most frequent items that occur, ascending; ties by item."""
    order = np.argsort(-count, kind="stable")[:max_items]
    return np.sort(order[count[order] > 0])
