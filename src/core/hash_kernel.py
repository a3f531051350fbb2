# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Small hash tables that fit a cache, and asking for data ahead of its use."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

FREE = -1  # a slot of the table; a taken one holds id << 32 | place
PLACE = 0xFFFFFFFF


@intrinsic
def prefetch(typing, array, index):
    """Ask for array[index] to be in the cache soon; any index will do."""

    def code(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), cgutils.voidptr_t)
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [address, word(0), word(3), word(1)])  # to read, keep close, data
        return context.get_dummy_value()

    return types.void(array, types.intp), code


@njit(forceinline=True)
def table_bits(entries):
    """So many bits that a table of 2 ** bits slots is at most half full."""
    bits = 4
    while 1 << bits < 2 * entries:
        bits += 1
    return bits


@njit(forceinline=True)
def clear_table(slots, entries):
    bits = table_bits(entries)
    for k in range(1 << bits):
        slots[k] = FREE
    return bits


@njit(forceinline=True)
def find_slot(slots, bits, x):
    """Where id x is, or would be put."""
    x = np.int64(x)
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    k = (np.uint64(x) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)
    slot = slots[k]
    while slot != FREE and slot >> 32 != x:
        k = (k + np.uint64(1)) & mask
        slot = slots[k]
    return k
