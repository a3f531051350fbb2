# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""List pairs of items, and train their vectors with Adagrad.

A pair has a source (the earlier item) and a target (the later one). Item x is in group x % groups.
In each round a thread trains the pairs whose source is in one group, on the targets of one group:
the pair's own target where it is in this group, and negatives drawn from this group. The threads of
a round have different groups of sources and of targets, so no two of them change the same vector.
After `groups` rounds each pair was trained on the targets of all groups. The result depends on
`groups`, not on the number of threads.

Gemulla et al. (2011) split a matrix like this, without negatives. Here negatives come from all
groups: drawn from the group of the target alone, they would never compare a source that has few
targets with the items of the other groups.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange, uint64

EPSILON = 1e-6  # added to sums of squared gradients: the first steps stay finite
MAX_SCORE = 30.0  # in the logged loss: exp stays finite
DRAWS = 2**24  # different chances in [0, 1): a float32 has 24 bits of precision


@njit(cache=True)
def count_pairs(offsets, max_steps):
    """Count the pairs of events of a session that are at most max_steps positions apart.

    offsets: int64 (sessions + 1), CSR of the events.
    """
    n = 0
    for s in range(offsets.size - 1):
        size = offsets[s + 1] - offsets[s]
        for d in range(1, min(max_steps, size - 1) + 1):
            n += size - d
    return n


@njit(cache=True)
def write_pairs(offsets, item, max_steps, source, target):
    """Write the items of the pairs that `count_pairs` counts, but for pairs of equal items.

    source, target: int32, room for all pairs. Returns the number of pairs written.
    """
    n = 0
    for s in range(offsets.size - 1):
        for i in range(offsets[s] + 1, offsets[s + 1]):
            for j in range(max(offsets[s], i - max_steps), i):
                if item[j] != item[i]:
                    source[n] = item[j]
                    target[n] = item[i]
                    n += 1
    return n


@njit(cache=True)
def group_pairs(source, target, order, groups):
    """Sort pairs by the group of the source; pairs of a group keep the order of `order`.

    order: a permutation of the pairs. Returns the offsets of the groups, int64 (groups + 1), then
    the sorted sources and targets.
    """
    offsets = np.zeros(groups + 1, np.int64)
    for p in range(source.size):
        offsets[source[p] % groups + 1] += 1
    for g in range(groups):
        offsets[g + 1] += offsets[g]
    end = offsets[:-1].copy()
    x = np.empty(source.size, np.int32)
    y = np.empty(source.size, np.int32)
    for p in order:
        g = source[p] % groups
        x[end[g]] = source[p]
        y[end[g]] = target[p]
        end[g] += 1
    return offsets, x, y


@njit(cache=True)
def alias_table(chance):
    """Make Vose's alias table (1991), to draw indices in proportion to `chance`.

    chance: float64, positive. To draw: choose an index i evenly, keep it with probability keep[i]
    (float32), and take alias[i] (int32) otherwise.
    """
    n = chance.size
    keep = chance * (n / max(chance.sum(), 1e-300))
    alias = np.arange(n).astype(np.int32)
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
        alias[a] = b
        keep[b] -= 1.0 - keep[a]
        if keep[b] < 1.0:
            n_large -= 1
            small[n_small] = b
            n_small += 1
    for i in range(n_small):
        keep[small[i]] = 1.0
    for i in range(n_large):
        keep[large[i]] = 1.0
    return keep.astype(np.float32), alias


@njit(inline="always")
def random_bits(state):
    """Return the next state of a 64-bit generator (xorshift, Marsaglia, 2003)."""
    state ^= state << uint64(13)
    state ^= state >> uint64(7)
    return state ^ (state << uint64(17))


@njit(fastmath=True, inline="always")
def product(u, v):
    """Return the dot product of two rows; the compiler chooses the order of the sum."""
    total = np.float32(0.0)
    for d in range(u.size):
        total += u[d] * v[d]
    return total


@njit(cache=True, fastmath=True)
def train_group(
    x, y, group, groups, items, keep, alias, negatives, rate, state, sources, targets,
    source_squares, target_squares,
):  # fmt: skip
    """Run Adagrad on the pairs (x, y) and one group of targets; return the sum of the losses.

    items, keep, alias: the items of the group and their alias table, from which `negatives` are
    drawn for each pair. sources, targets: float32 (items, dim), changed in place. source_squares,
    target_squares: float32 (items), sums of the mean squared gradients of each vector, which has
    one learning rate.
    """
    dim = sources.shape[1]
    change = np.empty(dim, np.float32)
    loss = 0.0
    for p in range(x.size):
        u = sources[x[p]]
        change[:] = 0.0
        for k in range(0 if y[p] % groups == group else 1, negatives + 1):
            i = y[p]
            if k > 0:
                state = random_bits(state)
                drawn = np.int64((state >> uint64(33)) % uint64(items.size))
                if np.float32((state & uint64(DRAWS - 1)) / float(DRAWS)) >= keep[drawn]:
                    drawn = alias[drawn]
                i = items[drawn]
                if i == y[p] or i == x[p]:
                    continue
            v = targets[i]
            score = product(u, v)
            if k == 0:
                score = -score
            error = np.float32(1.0 / (1.0 + math.exp(-score)))
            loss += math.log1p(math.exp(min(score, MAX_SCORE)))
            if k == 0:
                error = -error
            square = error * error
            target_squares[i] += square * product(u, u) / dim
            step = rate * error / math.sqrt(target_squares[i] + EPSILON)
            for d in range(dim):
                change[d] += error * v[d]
                v[d] -= step * u[d]
        source_squares[x[p]] += product(change, change) / dim
        step = rate / math.sqrt(source_squares[x[p]] + EPSILON)
        for d in range(dim):
            u[d] -= step * change[d]
    return loss


@njit(parallel=True, cache=True)
def train(
    groups, offsets, x, y, group_offsets, items, keep, alias, negatives, rate, seed,
    sources, targets, source_squares, target_squares, loss,
):  # fmt: skip
    """Run `train_group` on every group of sources with every group of targets.

    offsets, x, y: of `group_pairs`. items, keep, alias: the targets and alias tables of all groups,
    CSR by group_offsets. loss: float64 (groups * groups), to which each call adds its loss.
    """
    for shift in range(groups):
        for g in prange(groups):
            t = (g + shift) % groups
            call = g * groups + t
            pairs = slice(offsets[g], offsets[g + 1])
            group = slice(group_offsets[t], group_offsets[t + 1])
            # odd constants of splitmix64: calls with neighbouring numbers draw different negatives
            state = uint64(seed) * uint64(0x9E3779B97F4A7C15) + uint64(call + 1) * uint64(
                0xBF58476D1CE4E5B9
            )
            loss[call] += train_group(
                x[pairs], y[pairs], t, groups, items[group], keep[group], alias[group], negatives,
                rate, state | uint64(1), sources, targets, source_squares, target_squares,
            )  # fmt: skip
