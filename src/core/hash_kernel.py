# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Hash tables small enough for the CPU cache, and prefetching.

A table numbers the ids that are put into it: 0, 1, ... in the order of their first use.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

FREE = -1  # an empty slot; a taken one holds id << 32 | number of the id
NUMBER = 0xFFFFFFFF  # the bits of a slot that hold the number
GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads consecutive ids (Fibonacci hashing)


@intrinsic
def prefetch(typing, array, index):
    """Load array[index] into the cache ahead of its use; an index beyond the array is allowed."""

    def code(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), cgutils.voidptr_t)
        word = ir.IntType(32)
        signature_ir = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        llvm = cgutils.get_or_insert_function(builder.module, signature_ir, "llvm.prefetch.p0")
        builder.call(llvm, [address, word(0), word(3), word(1)])  # read, all cache levels, data
        return context.get_dummy_value()

    return types.void(array, types.intp), code


@njit(forceinline=True)
def table_bits(entries):
    """Return the least bits for which 2 ** bits slots are at most half full; at least 4."""
    bits = 4
    while 1 << bits < 2 * entries:
        bits += 1
    return bits


@njit(forceinline=True)
def clear_table(slots, entries):
    """Empty as many slots as a table of so many entries has; return its bits."""
    bits = table_bits(entries)
    for k in range(1 << bits):
        slots[k] = FREE
    return bits


@njit(forceinline=True)
def find_slot(slots, bits, x):
    """Find the slot of id x, or the free slot where it belongs (linear probing)."""
    x = np.int64(x)
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    k = (np.uint64(x) * np.uint64(GOLDEN)) >> np.uint64(64 - bits)
    slot = slots[k]
    while slot != FREE and slot >> 32 != x:
        k = (k + np.uint64(1)) & mask
        slot = slots[k]
    return k
