"""Count co-visitation matrices on the CPU: sparse products over one inverted index.

The products go row by row (Gustavson, 1978).

For each item x: walk its events, walk their sessions outwards from each event, gather the votes of
the session by place (in the cache), add them into a dense accumulator, keep the top neighbours. All
rows that look at the same event types are counted in one such walk. No pair is ever written out:
memory is the events, one index of them, and per thread one accumulator (items x rows).
src/matrices/self_merge.py defines what the result is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import get_num_threads

from src.core.arrays import F64, I64
from src.matrices import count_kernel as kernel
from src.matrices.event_index import EventIndex
from src.matrices.kernel_params import kernel_params
from src.matrices.neighbours import Neighbours
from src.matrices.span import Span

if TYPE_CHECKING:
    from src.matrices.covisitation import CovisitationMatrix

RANGE = 2**14
"""Items whose neighbours are found, packed and handed out at a time."""


class Keep(NamedTuple):
    """What is kept of the sums; rows that differ in top_n only share a kind."""

    kind_of: I64  # of each row
    tops: I64  # of each row: neighbours kept
    norms: F64  # of each kind: item_norm
    counts: I64  # (kinds, items): events, where a kind divides by them; else empty


def row_memory(n_items: int, threads: int) -> int:
    """Bytes of one more row in a walk: its accumulators, and its range of neighbours."""
    return 8 * n_items * threads + 2 * 8 * RANGE * 100


def count(
    index: EventIndex, rows: list[CovisitationMatrix], span: Span
) -> Iterator[tuple[int, list[Neighbours]]]:
    """Yield the matrices of rows with the same types, one range of items after the other.

    Each time: the first item of the range, and per row the neighbours of the range's items.
    """
    kinds = list(dict.fromkeys(_kind(row) for row in rows))
    tops = np.array([row.top_n for row in rows])
    params, norms = kernel_params(kinds, span), np.array([row.item_norm for row in kinds])
    counts = kernel.item_counts(index, params.ints, norms)
    keep = Keep(np.array([kinds.index(_kind(row)) for row in rows]), tops, norms, counts)
    n_threads, n = get_num_threads(), index.n_items
    # made here: numpy asks for huge pages, numba does not
    sums = np.zeros((n_threads, n, len(kinds) + 1), np.int64)
    work = kernel.cumulative_work(index.item_offsets, index.postings, index.offsets)
    for low in range(0, n, RANGE):
        bounds = _even_bounds(work, low, min(low + RANGE, n), n_threads)
        size, near, weight = kernel.count_range(index, params, bounds, keep, sums)
        packed = []
        for r in range(len(rows)):
            offsets = np.concatenate([[0], np.cumsum(size[:, r])])
            column = int(tops[:r].sum())
            packed.append(
                Neighbours(offsets, *kernel.pack_row(size[:, r].copy(), near, weight, column))
            )
        yield low, packed


def count_whole(index: EventIndex, row: CovisitationMatrix, span: Span) -> Neighbours:
    """The matrix of one row, all ranges together."""
    parts = [part for _, (part,) in count(index, [row], span)]
    sizes = np.concatenate([np.diff(p.offsets) for p in parts])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    item, weight = (np.concatenate([getattr(p, a) for p in parts]) for a in ("item", "weight"))
    return Neighbours(offsets, item, weight)


def _kind(row: CovisitationMatrix) -> CovisitationMatrix:
    return replace(row, name="", top_n=1)


def _even_bounds(work: I64, low: int, high: int, parts: int) -> I64:
    """Cut items low : high into parts of equal work."""
    cuts = work[low] + (work[high] - work[low]) * np.arange(1, parts) // parts
    inner = np.clip(np.searchsorted(work, cuts), low, high)
    return np.concatenate([[low], inner, [high]]).astype(np.int64)
