# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Times of all events by item, and the search among them."""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from src.core.arrays import I32, I64


class ItemTimes(NamedTuple):
    """Ascending event times (int32, seconds) of every item and kind of event, as CSR.

    Those of item x and kind k are in list x * n_kinds + k.
    """

    offsets: I64
    ts: I32
    n_kinds: int


@njit(forceinline=True)
def first_at(ts, low, high, second):
    """First index in ts[low:high], ascending, that is not before a second."""
    while low < high:
        middle = (low + high) >> 1
        if ts[middle] < second:
            low = middle + 1
        else:
            high = middle
    return low
