"""Array types, CSR offsets, and numbers by hash: what all layers use."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def offsets_of(session: I32, n_sessions: int) -> I64:
    """Where each session's events begin, and the last ones end."""
    return np.searchsorted(session, np.arange(n_sessions + 1)).astype(np.int64)


def arrays(frame: pl.DataFrame, *names: str) -> list[NDArray]:
    """Columns as arrays, always contiguous and read-only: numba compiles each kind anew."""
    out = [np.ascontiguousarray(frame[name].to_numpy()) for name in names]
    for array in out:
        array.flags.writeable = False
    return out


def hash_unit(ids: pl.Expr, seed: int) -> pl.Expr:
    """A number in [0, 1) per integer id that depends on nothing but the id and the seed.

    A linear congruence, the fifth power (a permutation modulo this prime, so that two seeds do not
    merely shift the numbers) and another congruence: plain arithmetic, so that any engine and any
    version of polars gives the same number.
    """
    prime = 2**31 - 1
    mixed = ((ids.cast(pl.Int64) % prime + seed * 7919) % prime * 48271 + 11) % prime
    square = mixed * mixed % prime
    mixed = square * square % prime * mixed % prime
    return ((mixed * 69621 + 7) % prime).cast(pl.Float64) / prime


EVENTS = 2**24  # counted at a time


def count_items(item: I32, n_items: int) -> I64:
    """How many there are of each item; piece by piece, for bincount makes them int64."""
    count = np.zeros(n_items, np.int64)
    for first in range(0, item.size, EVENTS):
        count += np.bincount(item[first : first + EVENTS], minlength=n_items)
    return count
