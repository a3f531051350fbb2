"""The tree of the ids that exist: a search over it can yield no other item."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from src.core.arrays import I32, I64, Mask
from src.generation.ids import Ids


class Level(NamedTuple):
    """Edges from the nodes of a depth to those of the next one, which stand by parent and code.

    int64 (nodes + 1) first: children of node n are nodes first[n] : first[n + 1] of the next depth.
    int32 (children) code: of each child.
    """

    first: I64
    code: I32


class Trie(NamedTuple):
    """Nodes of each depth are numbered in the order of their codes; depth 0 has the root alone.

    item: int32, of each leaf. node: int32 (items, levels + 1), the nodes on the way to each item,
    the root first; -1 of items without an id. sizes: number of codes of each level.
    """

    levels: tuple[Level, ...]
    item: I32
    node: I32
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, ids: Ids) -> Trie:
        """Make the trie of all ids; raise ValueError where two items share one."""
        items = ids.items
        order = items[np.lexsort(ids.codes[items].T[::-1])]
        rows = ids.codes[order]
        begins = np.zeros(len(rows), np.bool_)  # whether a row's prefix differs from that before
        begins[:1] = True
        levels, parent = [], np.flatnonzero(begins)
        node = np.full((len(ids.codes), len(ids.sizes) + 1), -1, np.int32)
        node[order, 0] = 0
        for depth, column in enumerate(rows.T, start=1):
            begins[1:] |= column[1:] != column[:-1]
            start = np.flatnonzero(begins)
            first = np.append(np.searchsorted(start, parent), start.size).astype(np.int64)
            levels.append(Level(first, column[start].astype(np.int32)))
            node[order, depth] = np.cumsum(begins) - 1
            parent = start
        if not begins.all():
            raise ValueError(f"{np.count_nonzero(~begins)} items share the id of another one")
        return cls(tuple(levels), order.astype(np.int32), node, ids.sizes)

    def branches(self, depth: int, node: I32 | I64) -> Mask:
        """Mark the nodes of a depth with several children; of the node -1, anything."""
        several: Mask = np.diff(self.levels[depth].first)[node] > 1
        return several

    def allowed(self, depth: int, node: I32 | I64) -> Mask:
        """Mark the codes that go on from each node of a depth: bool (nodes, codes)."""
        first, code = self.levels[depth]
        different, row = np.unique(node, return_inverse=True)
        children = first[different + 1] - first[different]
        owner = np.repeat(np.arange(different.size), children)
        place = np.arange(owner.size) - np.repeat(np.cumsum(children) - children, children)
        mask = np.zeros((different.size, self.sizes[depth]), np.bool_)
        mask[owner, code[first[different][owner] + place]] = True
        return mask[row]
