# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The times of all events by item, and a search in them."""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from src.core.arrays import I32, I64


class ItemTimes(NamedTuple):
    """Event times (int32, seconds) of every item and value of a column, as CSR.

    List x * n_values + v holds the times of item x and value v, ascending.
    """

    offsets: I64
    ts: I32
    n_values: int


@njit(forceinline=True)
def first_at(ts, low, high, second):
    """Find the first index from low on whose time is `second` or later; high if there is none.

    ts[low:high] ascends.
    """
    while low < high:
        middle = (low + high) >> 1
        if ts[middle] < second:
            low = middle + 1
        else:
            high = middle
    return low
