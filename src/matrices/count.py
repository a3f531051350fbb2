"""Count co-visitation matrices on the CPU: row-wise sparse products (Gustavson, 1978).

For each item x, the kernel visits the events of x. It walks from each event through its session,
outwards, and collects the votes of the session by local item, which stays in the cache. Then it
adds the votes to dense sums over all items, and keeps the top neighbours.

One walk counts all matrix rows with the same event types. Pairs are never stored: memory holds the
events, their index by item, and the sums of each thread. src/matrices/self_merge.py defines the
result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import get_num_threads

from src.core.arrays import F64, I64, offsets_of_sizes
from src.matrices import count_kernel as kernel
from src.matrices.event_index import EventIndex
from src.matrices.kernel_params import kernel_params
from src.matrices.neighbours import Neighbours
from src.matrices.span import Span

if TYPE_CHECKING:
    from src.matrices.covisitation import CovisitationMatrix

RANGE = 2**14
"""Items whose neighbours are counted, packed and returned at a time."""

USUAL_TOP_N = 100
"""Neighbours kept of an item, for the estimate of memory."""


class OutputRows(NamedTuple):
    """Rows whose neighbours are kept.

    Rows that differ only in name and top_n share an accumulator.
    """

    accumulator: I64  # number of the accumulator of each row
    top_n: I64  # of each row
    item_norm: F64  # of each accumulator
    item_count: I64  # (accumulators, items): number of events, for item_norm; else no items


def row_memory(n_items: int, threads: int) -> int:
    """Return the bytes of one more row in a walk: its sums, and the lists of a range, twice."""
    return 8 * n_items * threads + 2 * 8 * RANGE * USUAL_TOP_N


def count(
    index: EventIndex, rows: list[CovisitationMatrix], span: Span
) -> Iterator[tuple[int, list[Neighbours]]]:
    """Count the matrices of rows with the same types.

    Yields the first item of each range of items, and the neighbours of the range for each row.
    """
    accumulators = list(dict.fromkeys(_without_output(row) for row in rows))
    params = kernel_params(accumulators, span)
    top_n = np.array([row.top_n for row in rows])
    item_norm = np.array([row.item_norm for row in accumulators])
    accumulator = np.array([accumulators.index(_without_output(row)) for row in rows])
    item_count = kernel.item_counts(index, params.ints, item_norm)
    outputs = OutputRows(accumulator, top_n, item_norm, item_count)
    n_threads, n = get_num_threads(), index.n_items
    # allocated by numpy, which uses huge pages, unlike numba
    sums = np.zeros((n_threads, n, len(accumulators) + 1), np.int64)
    work = kernel.cumulative_work(index.item_offsets, index.postings, index.offsets)
    columns = offsets_of_sizes(top_n)
    for low in range(0, n, RANGE):
        bounds = _even_bounds(work, low, min(low + RANGE, n), n_threads)
        size, near, weight = kernel.count_range(index, params, bounds, outputs, sums)
        yield (
            low,
            [
                Neighbours(
                    offsets_of_sizes(size[:, row]),
                    *kernel.pack_output(size[:, row].copy(), near, weight, columns[row]),
                )
                for row in range(len(rows))
            ],
        )


def count_whole(index: EventIndex, row: CovisitationMatrix, span: Span) -> Neighbours:
    """Count the matrix of one row over all items."""
    ranges = [neighbours for _, (neighbours,) in count(index, [row], span)]
    offsets = offsets_of_sizes(np.concatenate([np.diff(n.offsets) for n in ranges]))
    item, weight = (np.concatenate([getattr(n, a) for n in ranges]) for a in ("item", "weight"))
    return Neighbours(offsets, item, weight)


def _without_output(row: CovisitationMatrix) -> CovisitationMatrix:
    """Return the row without the fields that its accumulator does not depend on."""
    return replace(row, name="", top_n=1)


def _even_bounds(work: I64, low: int, high: int, n_parts: int) -> I64:
    """Cut items low : high into parts of equal work: int64 (n_parts + 1)."""
    cuts = work[low] + (work[high] - work[low]) * np.arange(1, n_parts) // n_parts
    inner = np.clip(np.searchsorted(work, cuts), low, high)
    return np.concatenate([[low], inner, [high]]).astype(np.int64)
