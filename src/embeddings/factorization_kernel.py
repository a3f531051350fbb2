# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The loops behind matrix factorisation: pairs of items, and Adagrad on them.

Items are dealt to `parts` groups by their number. A thread goes through all pairs whose source is
of one group, and touches targets of one group only: the pair's own, where it is of that group, and
its share of the drawn ones. So threads touch different rows, and after `parts` rounds every pair
has met all targets: the bytes depend on `parts`, not on threads. (Gemulla et al., 2011, do the same
without draws; to draw from the group of the own target only would be wrong: an item with few
successors would never be told from the other groups.)
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange, uint64


@njit(cache=True)
def count_pairs(offsets, first, end, steps):
    """Pairs of events of sessions first : end that are at most `steps` positions apart."""
    n = 0
    for s in range(first, end):
        size = offsets[s + 1] - offsets[s]
        for d in range(1, min(steps, size - 1) + 1):
            n += size - d
    return n


@njit(cache=True)
def write_pairs(offsets, item, first, end, steps, source, target):
    """Write (earlier item, later item) of those pairs; pairs of an item with itself are left out.

    Returns how many were written.
    """
    n = 0
    for s in range(first, end):
        for i in range(offsets[s] + 1, offsets[s + 1]):
            for j in range(max(offsets[s], i - steps), i):
                if item[j] != item[i]:
                    source[n] = item[j]
                    target[n] = item[i]
                    n += 1
    return n


@njit(cache=True)
def into_groups(source, target, order, parts):
    """The pairs by group of the source, in `order` within; starts int64 (parts + 1), then both."""
    starts = np.zeros(parts + 1, np.int64)
    for p in range(source.size):
        starts[source[p] % parts + 1] += 1
    for g in range(parts):
        starts[g + 1] += starts[g]
    at = starts[:-1].copy()
    x = np.empty(source.size, np.int32)
    y = np.empty(source.size, np.int32)
    for p in order:
        g = source[p] % parts
        x[at[g]] = source[p]
        y[at[g]] = target[p]
        at[g] += 1
    return starts, x, y


@njit(cache=True)
def alias_table(chance):
    """Vose's table (1991) to draw from: number i stays with chance keep[i], else becomes other[i].

    chance: float64, any positive numbers.
    """
    n = chance.size
    keep = chance * (n / max(chance.sum(), 1e-300))
    other = np.arange(n).astype(np.int32)
    small = np.empty(n, np.int32)
    large = np.empty(n, np.int32)
    n_small = n_large = 0
    for i in range(n):
        if keep[i] < 1.0:
            small[n_small] = i
            n_small += 1
        else:
            large[n_large] = i
            n_large += 1
    while n_small and n_large:
        n_small -= 1
        a, b = small[n_small], large[n_large - 1]
        other[a] = b
        keep[b] -= 1.0 - keep[a]
        if keep[b] < 1.0:
            n_large -= 1
            small[n_small] = b
            n_small += 1
    for i in range(n_small):
        keep[small[i]] = 1.0
    for i in range(n_large):
        keep[large[i]] = 1.0
    return keep.astype(np.float32), other


@njit(inline="always")
def random_bits(state):
    """The next state of a 64-bit generator (xorshift, Marsaglia, 2003)."""
    state ^= state << uint64(13)
    state ^= state >> uint64(7)
    return state ^ (state << uint64(17))


@njit(fastmath=True, inline="always")
def product(u, v):
    """Dot product of two rows, in whatever order is fastest."""
    total = np.float32(0.0)
    for d in range(u.size):
        total += u[d] * v[d]
    return total


@njit(cache=True, fastmath=True)
def learn_group(
    x, y, group, parts, items, keep, other, negatives, rate, state, sources, targets,
    source_sum, target_sum,
):  # fmt: skip
    """Adagrad on the pairs x, y and one group of targets; returns the sum of the losses.

    items, keep, other: the targets of the group, and the alias table to draw `negatives` of them
    for each pair. sources, targets: float32 (items, size); their sums of mean squared gradients,
    float32 (items), for one rate a row.
    """
    size = sources.shape[1]
    change = np.empty(size, np.float32)
    loss = 0.0
    for p in range(x.size):
        u = sources[x[p]]
        change[:] = 0.0
        for k in range(0 if y[p] % parts == group else 1, negatives + 1):
            i = y[p]
            if k > 0:
                state = random_bits(state)
                drawn = np.int64((state >> uint64(33)) % uint64(items.size))
                if np.float32((state & uint64(0xFFFFFF)) / 16777216.0) >= keep[drawn]:
                    drawn = other[drawn]
                i = items[drawn]
                if i == y[p] or i == x[p]:
                    continue
            v = targets[i]
            score = product(u, v)
            if k == 0:
                score = -score
            error = np.float32(1.0 / (1.0 + math.exp(-score)))
            loss += math.log1p(math.exp(min(score, 30.0)))
            if k == 0:
                error = -error
            square = error * error
            target_sum[i] += square * product(u, u) / size
            step = rate * error / math.sqrt(target_sum[i] + 1e-6)
            for d in range(size):
                change[d] += error * v[d]
                v[d] -= step * u[d]
        source_sum[x[p]] += product(change, change) / size
        step = rate / math.sqrt(source_sum[x[p]] + 1e-6)
        for d in range(size):
            u[d] -= step * change[d]
    return loss


@njit(parallel=True, cache=True)
def learn(
    parts, starts, x, y, group_starts, items, keep, other, negatives, rate, seed,
    sources, targets, source_sum, target_sum, loss,
):  # fmt: skip
    """`learn_group` on all groups of sources and of targets; losses are added up by both."""
    for shift in range(parts):
        for g in prange(parts):
            t = (g + shift) % parts
            b = g * parts + t
            mine = slice(starts[g], starts[g + 1])
            group = slice(group_starts[t], group_starts[t + 1])
            state = uint64(seed) * uint64(0x9E3779B97F4A7C15) + uint64(b + 1) * uint64(
                0xBF58476D1CE4E5B9
            )
            loss[b] += learn_group(
                x[mine], y[mine], t, parts, items[group], keep[group], other[group], negatives,
                rate, state | uint64(1), sources, targets, source_sum, target_sum,
            )  # fmt: skip
